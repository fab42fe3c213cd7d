// SPDX-License-Identifier: Apache-2.0

package catalog

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/xdp-chain/xdp-chain/internal/config"
	"github.com/xdp-chain/xdp-chain/internal/testenv"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
)

// folder writes files into a new folder, as root would, and returns its path.
func folder(t testing.TB, files map[string]string) string {
	t.Helper()
	if os.Geteuid() != 0 {
		testenv.Skip(t, "needs root, to whom the files must belong")
	}
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func open(t testing.TB, dir string) *Catalog {
	t.Helper()
	c, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func entry(t testing.TB, c *Catalog, name string) Entry {
	t.Helper()
	e, err := c.Entry(name)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// compareEntries leaves the object's bytes out of what is printed.
var compareEntries = cmp.Options{
	cmp.Comparer(func(a, b Setting) bool { return fmt.Sprint(a) == fmt.Sprint(b) }),
	cmp.FilterPath(func(p cmp.Path) bool { return p.String() == "Content" }, cmp.Transformer("size", func(b []byte) int { return len(b) })),
}

const full = `# what a pod may have
name: mine
object: /opt/xdp/mine.o
function: xdp_mine
priority: 0x6e
proceedOn: [pass, tx]
globals:
  pps: 1000
  peer: "${pod.ip}"
  big: 18446744073709551615
settable:
  pps: {min: 1, max: "0xffffffffffffffff"}
  level: {values: [low, 2, true]}
transmits: true
`

func TestCatalogEntry(t *testing.T) {
	dir := folder(t, map[string]string{
		"10-mine.yaml": full,
		"least.yaml":   "name: least\nobject: /opt/least.o\n",
		"tabs.yaml":    "{\n\t\"name\": \"tabs\",\n\t\"object\": \"/opt/tabs.o\"\n}\n",
		".hidden.yaml": "broken: [",
		"mine.yaml~":   "broken: [",
		"mine.yml":     "broken: [",
		"README":       "broken: [",
	})
	c := open(t, dir)
	if err := c.Check(); err != nil {
		t.Error(err)
	}
	tests := []Entry{
		{
			Name: "mine", Origin: "/opt/xdp/mine.o", File: filepath.Join(dir, "10-mine.yaml"), Object: "/opt/xdp/mine.o", Function: "xdp_mine",
			Priority: new(110), ProceedOn: new(chain.ActionSetOf(chain.Pass, chain.TX)), Transmits: true,
			Globals: map[string]json.RawMessage{
				"pps": json.RawMessage("1000"), "peer": json.RawMessage(`"${pod.ip}"`), "big": json.RawMessage("18446744073709551615"),
			},
			Settable: map[string]Setting{
				"pps":   setting(t, `{"min": 1, "max": "18446744073709551615"}`),
				"level": setting(t, `{"values": ["low", 2, true]}`),
			},
		},
		{Name: "least", Origin: "/opt/least.o", Object: "/opt/least.o", File: filepath.Join(dir, "least.yaml")},
		{Name: "tabs", Origin: "/opt/tabs.o", Object: "/opt/tabs.o", File: filepath.Join(dir, "tabs.yaml")},
	}
	for _, want := range tests {
		if diff := cmp.Diff(want, entry(t, c, want.Name), compareEntries); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
	}
	// A caller that spoils its entry spoils nobody else's.
	spoiled := entry(t, c, "mine")
	*spoiled.Priority, *spoiled.ProceedOn, spoiled.Globals["pps"], spoiled.Settable["level"] = 1, 0, nil, Setting{}
	if diff := cmp.Diff(tests[0], entry(t, c, "mine"), compareEntries); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// A file without an object changes the defaults of a built-in; one with an object takes
// its place, and nothing of it is left.
func TestCatalogOverBuiltins(t *testing.T) {
	builtin := entry(t, nil, "acl")
	dir := folder(t, map[string]string{"x.yaml": "name: acl\npriority: 120\nproceedOn: [pass]\nglobals: {a: 1}\nsettable: {a: {min: 1, max: 2}}\ntransmits: true\n"})
	want := builtin
	want.File, want.Priority, want.ProceedOn, want.Transmits = filepath.Join(dir, "x.yaml"), new(120), new(chain.ActionSetOf(chain.Pass)), true
	want.Globals, want.Settable = map[string]json.RawMessage{"a": json.RawMessage("1")}, map[string]Setting{"a": between(1, 2)}
	if diff := cmp.Diff(want, entry(t, open(t, dir), "acl"), compareEntries); diff != "" {
		t.Errorf("defaults changed (-want +got):\n%s", diff)
	}

	dir = folder(t, map[string]string{"x.yaml": "name: acl\n"})
	want = builtin
	want.File = filepath.Join(dir, "x.yaml")
	if diff := cmp.Diff(want, entry(t, open(t, dir), "acl"), compareEntries); diff != "" {
		t.Errorf("name alone (-want +got):\n%s", diff)
	}

	dir = folder(t, map[string]string{"x.yaml": "name: acl\nobject: /opt/acl.o\n"})
	want = Entry{Name: "acl", Origin: "/opt/acl.o", Object: "/opt/acl.o", File: filepath.Join(dir, "x.yaml")}
	if diff := cmp.Diff(want, entry(t, open(t, dir), "acl"), compareEntries); diff != "" {
		t.Errorf("object of its own (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(builtin, entry(t, nil, "acl"), compareEntries); diff != "" {
		t.Errorf("the built-in itself (-want +got):\n%s", diff)
	}
}

// What a file says about a built-in's globals is added, what it says about settable is
// all there is.
func TestDocumentOverGlobals(t *testing.T) {
	row := Entry{Name: "rate", Globals: map[string]json.RawMessage{"a": json.RawMessage("1"), "b": json.RawMessage("2")}, Settable: map[string]Setting{"a": between(1, 9)}}
	d := document{Globals: map[string]json.RawMessage{"b": json.RawMessage("3")}, Settable: map[string]Setting{}}
	d.applyTo(&row)
	want := Entry{Name: "rate", Globals: map[string]json.RawMessage{"a": json.RawMessage("1"), "b": json.RawMessage("3")}, Settable: map[string]Setting{}}
	if diff := cmp.Diff(want, row, compareEntries); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestCatalogNames(t *testing.T) {
	dir := folder(t, map[string]string{
		"a.yaml": "name: mine\nobject: /o\n", "b.yaml": "name: acl\npriority: 1\n", "count.yaml": "broken",
		"c.yaml": "name: twice\nobject: /o\n", "d.yaml": "name: twice\nobject: /o\n",
	})
	want := slices.DeleteFunc(append(Builtins(), "mine"), func(name string) bool { return name == "count" })
	slices.Sort(want)
	c := open(t, dir)
	if diff := cmp.Diff(want, c.Names()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	for _, name := range want {
		entry(t, c, name)
	}
}

func TestNoFolderHasTheBuiltins(t *testing.T) {
	for _, c := range []*Catalog{nil, open(t, filepath.Join(t.TempDir(), "not", "there")), open(t, folder(t, nil))} {
		if err := c.Check(); err != nil {
			t.Error(err)
		}
		if diff := cmp.Diff(Builtins(), c.Names()); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
		entry(t, c, "acl")
		if _, err := c.Entry("mine"); !errors.Is(err, ErrUnknown) || errors.Is(err, ErrBroken) || !strings.Contains(err.Error(), `"mine"; it has acl`) {
			t.Errorf("unknown: %v", err)
		}
	}
}

func TestFolderAtFault(t *testing.T) {
	tests := []struct {
		name string
		make func(dir string) error
		want string
	}{
		{"a file", func(dir string) error { return errors.Join(os.Remove(dir), os.WriteFile(dir, nil, 0o644)) }, "not a directory"},
		{"a FIFO", func(dir string) error { return errors.Join(os.Remove(dir), unix.Mkfifo(dir, 0o644)) }, "not a directory"},
		{"of a group", func(dir string) error { return os.Chmod(dir, 0o775) }, "is writable by others than root (mode 0775)"},
		{"of a user", func(dir string) error { return os.Chown(dir, 65534, 0) }, "belongs to user 65534"},
		{"too many files", func(dir string) error {
			var errs []error
			for i := range maxFiles + 1 {
				errs = append(errs, os.WriteFile(filepath.Join(dir, fmt.Sprintf("%d.yaml", i)), nil, 0o644))
			}
			return errors.Join(errs...)
		}, "has 1001 files; at most 1000"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := filepath.Join(folder(t, nil), "programs.d")
			if err := errors.Join(os.Mkdir(dir, 0o755), tt.make(dir)); err != nil {
				t.Fatal(err)
			}
			c, err := Open(dir)
			if !errors.Is(err, ErrBroken) || !strings.Contains(err.Error(), dir) || !strings.Contains(err.Error(), tt.want) || c != nil {
				t.Errorf("%v, want %q", err, tt.want)
			}
		})
	}
}

// A ConfigMap mount is links to a folder that is a link itself.
func TestCatalogOfAConfigMap(t *testing.T) {
	dir := folder(t, nil)
	data := filepath.Join(dir, "..2026_01_01")
	if err := errors.Join(
		os.Mkdir(data, 0o755),
		os.WriteFile(filepath.Join(data, "mine.yaml"), []byte("name: mine\nobject: /o\n"), 0o644),
		os.Symlink("..2026_01_01", filepath.Join(dir, "..data")),
		os.Symlink("..data/mine.yaml", filepath.Join(dir, "mine.yaml")),
	); err != nil {
		t.Fatal(err)
	}
	c := open(t, dir)
	if e := entry(t, c, "mine"); e.File != filepath.Join(dir, "mine.yaml") {
		t.Errorf("file %s", e.File)
	}
	if err := os.Chmod(data, 0o777); err != nil {
		t.Fatal(err)
	}
	if _, err := open(t, dir).Entry("mine"); !errors.Is(err, ErrBroken) || !strings.Contains(err.Error(), data+" is writable by others") {
		t.Errorf("links into a folder of others: %v", err)
	}
}

func TestTwoFilesOfOneName(t *testing.T) {
	dir := folder(t, map[string]string{"a.yaml": "name: acl\n", "b.yaml": "name: acl\npriority: 3\n", "c.yaml": "name: mine\nobject: /o\n"})
	c := open(t, dir)
	want := fmt.Sprintf(`program "acl" is in more than one file (%s/a.yaml, %[1]s/b.yaml)`, dir)
	for _, err := range []error{second(c.Entry("acl")), c.Check()} {
		if !errors.Is(err, ErrBroken) || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	entry(t, c, "mine")
}

func second[T any](_ T, err error) error { return err }

func TestCheckNamesEveryFileAtFault(t *testing.T) {
	dir := folder(t, map[string]string{"a.yaml": "name: A", "b.yaml": "name: b\nobject: /o\npriority: high\nimage: x\n", "c.yaml": "", "d.yaml": "name: acl"})
	err := open(t, dir).Check()
	if !errors.Is(err, ErrBroken) {
		t.Fatal(err)
	}
	lines := strings.Split(err.Error(), "\n")
	for i, want := range []string{
		dir + `/a.yaml:1: name: invalid value: name "A"`,
		dir + `/b.yaml:3: priority: want a whole number, got "high"`,
		dir + `/b.yaml:4: image: programs from OCI images are not in this version`,
		dir + `/c.yaml:1: the file is empty`,
	} {
		if i >= len(lines) || !strings.Contains(lines[i], want) {
			t.Errorf("line %d of %q, want %q", i, lines, want)
		}
	}
	if len(lines) != 4 {
		t.Errorf("%d lines: %q", len(lines), lines)
	}
	if _, err := open(t, dir).Entry("mine"); !errors.Is(err, ErrUnknown) || !strings.HasSuffix(err.Error(), fmt.Sprintf("files that are at fault: %s/a.yaml, %[1]s/b.yaml, %[1]s/c.yaml", dir)) {
		t.Errorf("unknown: %v", err)
	}
}

// What an annotation costs the start of a pod.

func BenchmarkPrograms(b *testing.B) {
	c, p := shelf(b), policy(b, rules)
	for name, annotation := range map[string]string{
		"Names": "rate, log, plain",
		"List":  `[{"name": "rate", "priority": 120, "globals": {"pps": 5000}}, {"name": "log"}, {"name": "plain"}]`,
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if _, err := c.Programs(p, annotation, always); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkOpen(b *testing.B) {
	dir := folder(b, map[string]string{"rate.yaml": full, "b.yaml": "name: b\nobject: /o\n", "c.yaml": "name: c\nobject: /o\n", "d.yaml": "name: acl\n", "e.yaml": "name: count\n"})
	for b.Loop() {
		if _, err := Open(dir); err != nil {
			b.Fatal(err)
		}
	}
}

// Every program of package bpf has an entry; its source is called as its folder is.
func TestBuiltinsAreThoseOfTheSources(t *testing.T) {
	sources, err := filepath.Glob("../../bpf/*/*.c")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, source := range sources {
		name := strings.TrimSuffix(filepath.Base(source), ".c")
		if name == filepath.Base(filepath.Dir(source)) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	if diff := cmp.Diff(names, Builtins()); diff != "" {
		t.Errorf("names (-sources +entries):\n%s", diff)
	}
}

func TestBuiltinReturnsTheCommittedObject(t *testing.T) {
	want, err := os.ReadFile("../../bpf/acl/acl.o")
	if err != nil {
		t.Fatal(err)
	}
	changed, err := Builtin("acl")
	if err != nil {
		t.Fatal(err)
	}
	// A caller that spoils its entry spoils nobody else's.
	changed.Content[0], *changed.Priority, changed.Lists[0] = 0, 99, "spoiled"
	got, err := Builtin("acl")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got.Content, want) || *got.Priority != 20 || got.Lists[0] != "rules" {
		t.Errorf("priority %d, lists %v, content equal: %v", *got.Priority, got.Lists, bytes.Equal(got.Content, want))
	}
}

func TestUnknownName(t *testing.T) {
	for _, name := range []string{"", "ACL", "acl ", "../acl", "include"} {
		_, err := Builtin(name)
		if !errors.Is(err, ErrUnknown) || !strings.Contains(err.Error(), strings.Join(Builtins(), ", ")) {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestBuiltins(t *testing.T) {
	for _, name := range Builtins() {
		t.Run(name, func(t *testing.T) {
			e, err := Builtin(name)
			if err != nil {
				t.Fatal(err)
			}
			if err := chain.CheckName(e.Name); err != nil || e.Name != name {
				t.Errorf("name %q: %v", e.Name, err)
			}
			spec, err := ebpf.LoadCollectionSpecFromReader(bytes.NewReader(e.Content))
			if err != nil {
				t.Fatal(err)
			}
			p := spec.Programs[e.Function]
			if p == nil || p.Type != ebpf.XDP {
				t.Fatalf("function %q is no XDP program of the object", e.Function)
			}
			for _, list := range e.Lists {
				if spec.Maps[list] == nil {
					t.Errorf("the object has no map %q", list)
				}
			}
			for global := range e.Globals {
				if spec.Variables[global] == nil {
					t.Errorf("the object has no variable %q", global)
				}
			}
			for global, setting := range e.Settable {
				if spec.Variables[global] == nil {
					t.Errorf("the object has no variable %q", global)
				}
				if value, given := e.Globals[global]; given {
					if _, ok := setting.Accept(value); !ok {
						t.Errorf("%s of variable %q is not %s", value, global, setting)
					}
				}
			}
		})
	}
}

func TestCheckMaps(t *testing.T) {
	tests := []struct {
		name string
		keys []string
		want string // in the error, "" for none
	}{
		{"no entries", nil, ""},
		{"one", []string{"0"}, ""},
		{"in any order", []string{"2", "0", "1"}, ""},
		{"as strings", []string{`"0x0"`, `"1"`}, ""},
		{"not from 0", []string{"1"}, "no key 0 but key 1"},
		{"by tens", []string{"10", "20"}, "no key 0 but key 20"},
		{"a gap", []string{"0", "1", "3"}, "no key 2 but key 3"},
		{"no number", []string{`"first"`, "7"}, ""},
	}
	acl, err := Builtin("acl")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var entries []config.MapEntry
			for _, key := range tt.keys {
				entries = append(entries, config.MapEntry{Key: json.RawMessage(key)})
			}
			err := acl.CheckMaps(map[string]config.MapSettings{"rules": {Entries: entries}, "others": {Entries: []config.MapEntry{{Key: json.RawMessage("9")}}}})
			if tt.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if !errors.Is(err, chain.ErrInvalid) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}
