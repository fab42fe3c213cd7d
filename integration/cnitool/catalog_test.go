// SPDX-License-Identifier: Apache-2.0

package cnitool

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/xdp-chain/xdp-chain/internal/plugintest"
	"github.com/xdp-chain/xdp-chain/internal/testenv"
)

// A file of the catalog gives a program, or gives a built-in another content or other
// defaults. What the configuration says comes before what the file says.
func TestCatalog(t *testing.T) {
	two := object(t, "two.o")
	catalog := catalogOf(t, map[string]string{
		"10-mine.yaml":     "name: mine\nobject: " + two + "\nfunction: second\npriority: 33\nproceedOn: [drop]\nglobals: {limit: 3}\n",
		"20-drop.yaml":     "# a built-in of another content\nname: drop\nobject: " + two + "\nfunction: first\n",
		"30-count.yaml":    `{"name": "count", "priority": 77}`,
		".hidden.yaml":     "name: [",
		"README":           "not a catalog file",
		"40-old.yaml.save": "name: [",
	})
	type place struct {
		Name, Function string
		Priority       int
		ProceedOn      string
	}
	places := func(p *plugintest.Pod) []place {
		var list []place
		for _, m := range p.ChainOn(t, "pod").Members {
			list = append(list, place{m.Name, m.Function, m.Priority, strings.Join(m.ProceedOn, ",")})
		}
		return list
	}
	testenv.NoLeaks(t)
	p := plugintest.WiredPod(t, 0)
	conf := p.Chained(fields{"catalogDir": catalog}, fields{"name": "mine"}, fields{"name": "drop"}, fields{"name": "count"}, fields{"name": "acl"})
	p.Must(t, "ADD", conf)
	want := []place{
		{"acl", "acl", 20, "pass,dispatcher_return"},
		{"mine", "second", 33, "drop"},
		{"drop", "first", 50, "pass,dispatcher_return"},
		{"count", "count", 77, "pass,dispatcher_return"},
	}
	if diff := cmp.Diff(want, places(p)); diff != "" {
		t.Errorf("members (-want +got):\n%s", diff)
	}
	p.Must(t, "CHECK", conf)

	// drop as it is built in would have dropped them all.
	for range 5 {
		testenv.Send(t, "", p.Host, append(make([]byte, 12), 0x88, 0xb5, 1))
	}
	passed := func() uint64 { return p.StatsOn(t, "pod").Packets("(end)", "pass") }
	if got := eventually(t, passed, 5); got != 5 {
		t.Errorf("%d packets went through, want 5", got)
	}

	conf["programs"] = []fields{{"name": "mine", "priority": 1, "proceedOn": []string{"pass"}, "function": "first"}}
	p.Must(t, "ADD", conf)
	if diff := cmp.Diff([]place{{"mine", "first", 1, "pass"}}, places(p)); diff != "" {
		t.Errorf("members (-want +got):\n%s", diff)
	}
	p.Must(t, "DEL", conf)
}

// A catalog without a folder is that of the built-ins.
func TestCatalogMissing(t *testing.T) {
	testenv.NoLeaks(t)
	p := plugintest.WiredPod(t, 0)
	missing := fields{"catalogDir": "/nowhere/programs.d", "cniVersion": "1.1.0"}
	p.Must(t, "STATUS", p.Chained(missing, fields{"name": "acl"}))
	p.Must(t, "ADD", p.Chained(missing, fields{"name": "acl"}))
	p.Must(t, "DEL", p.Chained(missing, fields{"name": "acl"}))
	with("unknown", missing, 103, `"nonsense"`, "acl, count").with(fields{"name": "nonsense"}).run(t, p)
}

// with makes a refusal be about another program.
func (r refusal) with(program fields) refusal {
	conf := r.conf
	r.conf = func(p *plugintest.Pod) any {
		c := conf(p).(fields)
		c["programs"] = []fields{program}
		return c
	}
	return r
}

// A file that is at fault is in the way of those pods that need it, and of STATUS.
func TestBrokenCatalog(t *testing.T) {
	testenv.KernelIndependent(t)
	two := object(t, "two.o")
	good := "name: mine\nobject: " + two + "\nfunction: first\npriority: 120\n"
	text := func(content string) func(string) error {
		return func(path string) error { return os.WriteFile(path, []byte(content), 0o644) }
	}
	tests := []struct {
		name  string
		write func(path string) error
		words []string
	}{
		{"half written", text(good[:len(good)-20] + "functio"), []string{"mine.yaml:"}},
		{"empty", text(""), []string{"mine.yaml:1", "empty"}},
		{"not YAML", text("name: mine\n\tobject: x\n"), []string{"mine.yaml"}},
		{"not text", text("\x7fELF\x02\x01\x01\x00"), []string{"mine.yaml"}},
		{"no object", text("name: mine\nfunction: first\n"), []string{"mine.yaml", "object", "absolute path"}},
		{"object relative", text("name: mine\nobject: mine.o\n"), []string{"mine.yaml:2", "object", "absolute path"}},
		{"object missing", text("name: mine\nobject: /nowhere/mine.o\n"), []string{"mine.yaml", "/nowhere/mine.o"}},
		{"image", text("name: mine\nimage: registry.example/mine@sha256:0\n"), []string{"mine.yaml:2", "image", "not in this version"}},
		{"unknown field", text(good + "prio: 1\n"), []string{"mine.yaml:5", "prio", `"priority"`}},
		{"field twice", text(good + "priority: 130\n"), []string{"mine.yaml:5", "priority", "twice"}},
		{"name's characters", text("name: My_Prog\nobject: " + two + "\n"), []string{"mine.yaml:1", "My_Prog"}},
		{"priority's type", text(strings.Replace(good, "120", "first", 1)), []string{"mine.yaml:4", "priority", "first"}},
		{"priority negative", text(strings.Replace(good, "120", "-1", 1)), []string{"mine.yaml:4", "priority", "-1"}},
		{"proceedOn's name", text(good + "proceedOn: [accept]\n"), []string{"mine.yaml:5", "proceedOn", "accept"}},
		{"maps", text(good + "maps: {}\n"), []string{"mine.yaml:5", "maps"}},
		{"settable's kind", text(good + "settable: {limit: 5}\n"), []string{"mine.yaml:5", "settable.limit"}},
		{"one bound", text(good + "settable: {limit: {min: 5}}\n"), []string{"mine.yaml:5", "settable.limit", "max"}},
		{"bounds the wrong way round", text(good + "settable: {limit: {min: 5, max: 4}}\n"), []string{"mine.yaml:5", "settable.limit", "5", "4"}},
		{"alias", text("name: &n mine\nobject: " + two + "\nfunction: *n\n"), []string{"mine.yaml", "aliases"}},
		{"two documents", text(good + "---\n" + good), []string{"mine.yaml:5", "document"}},
		{"too large", text(good + strings.Repeat("# filler\n", 10000)), []string{"mine.yaml", "65536"}},
		{"global that does not fit", text(good + "globals: {limit: 256}\n"), []string{"mine.yaml", "limit", "256"}},
		{"settable that does not fit", text(good + "settable: {limit: {min: 0, max: 256}}\n"), []string{"mine.yaml", "settable", "limit", "256"}},
		{"folder", func(path string) error { return os.Mkdir(path, 0o755) }, []string{"mine.yaml", "folder"}},
		{"FIFO", func(path string) error { return unix.Mkfifo(path, 0o644) }, []string{"mine.yaml", "FIFO"}},
		{"dangling link", func(path string) error { return os.Symlink("/nowhere/mine.yaml", path) }, []string{"mine.yaml", "/nowhere"}},
		{"writable by all", func(path string) error { _ = text(good)(path); return os.Chmod(path, 0o666) }, []string{"mine.yaml", "writable"}},
		{"not root's", func(path string) error { _ = text(good)(path); return os.Chown(path, 65534, 0) }, []string{"mine.yaml", "65534"}},
	}
	testenv.NoLeaks(t)
	p := plugintest.WiredPod(t, 0)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := catalogOf(t, nil)
			if err := tt.write(filepath.Join(dir, "50-mine.yaml")); err != nil {
				t.Fatal(err)
			}
			more := func(text string) fields {
				return annotated(text, allowing("mine", "count"), fields{"catalogDir": dir, "cniVersion": "1.1.0"})
			}
			asking := refusal{tt.name, func(p *plugintest.Pod) any { return p.Chained(more("mine"), fields{"name": "acl"}) }, 103, tt.words}
			asking.run(t, p)
			p.Refuse(t, "STATUS", p.Chained(more("")), 50, tt.words...)
			if tt.name != "settable that does not fit" { // that is no business of the conflist's programs
				with(tt.name, more(""), 103, tt.words...).with(fields{"name": "mine"}).run(t, p)
			}

			others := p.Chained(more("[{name: count, priority: 100}]"), fields{"name": "acl"})
			p.Must(t, "ADD", others)
			p.Must(t, "CHECK", others)
			p.Must(t, "DEL", others)
		})
	}
}

// Two files of one name: which one counts would be a guess.
func TestCatalogNameTwice(t *testing.T) {
	testenv.NoLeaks(t)
	dir := catalogOf(t, map[string]string{"10-count.yaml": "name: count\npriority: 110\n", "20-count.yaml": "name: count\npriority: 120\n"})
	p := plugintest.WiredPod(t, 0)
	more := annotated("count", allowing("count"), fields{"catalogDir": dir, "cniVersion": "1.1.0"})
	with("both are named", more, 103, "10-count.yaml", "20-count.yaml", `"count"`).run(t, p)
	p.Refuse(t, "STATUS", p.Chained(more), 50, "10-count.yaml", "20-count.yaml")
}

// The folder decides what runs in the kernel: nobody but root may have a hand in it.
// Those who need nothing of the catalog do not look at it.
func TestCatalogFolder(t *testing.T) {
	tests := []struct {
		name  string
		spoil func(dir string) error
		word  string
	}{
		{"writable by all", func(dir string) error { return os.Chmod(dir, 0o777) }, "writable"},
		{"not root's", func(dir string) error { return os.Chown(dir, 65534, 0) }, "65534"},
		{"in a writable folder", func(dir string) error { return os.Chmod(filepath.Dir(dir), 0o777) }, "writable"},
		{"a file", func(dir string) error {
			return os.WriteFile(dir, nil, 0o644)
		}, "directory"},
		{"too many files", func(dir string) error {
			for i := range 1001 {
				if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%d.yaml", i)), nil, 0o644); err != nil {
					return err
				}
			}
			return nil
		}, "1000"},
	}
	own := object(t, "two.o")
	testenv.NoLeaks(t)
	p := plugintest.WiredPod(t, 0)
	for i, tt := range tests {
		if testing.Short() && i%5 != 0 { // files are alike on every kernel
			continue
		}
		t.Run(tt.name, func(t *testing.T) {
			dir := catalogOf(t, nil)
			if tt.name == "a file" {
				if err := os.Remove(dir); err != nil {
					t.Fatal(err)
				}
			}
			if err := tt.spoil(dir); err != nil {
				t.Fatal(err)
			}
			more := fields{"catalogDir": dir, "cniVersion": "1.1.0"}
			with(tt.name, more, 103, filepath.Dir(dir), tt.word).run(t, p)
			p.Refuse(t, "STATUS", p.Chained(more), 50, filepath.Dir(dir), tt.word)
			conf := p.Chained(more, fields{"name": "mine", "object": own, "function": "first"})
			p.Must(t, "ADD", conf)
			p.Must(t, "CHECK", conf)
			p.Must(t, "DEL", conf)
		})
	}
}
