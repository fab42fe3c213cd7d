// SPDX-License-Identifier: Apache-2.0

package catalog

import (
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/xdp-chain/xdp-chain/internal/schematest"
)

// Whatever is wrong with a file's text is told with file and line, to whoever wants its
// entry, and nothing stands in for it.
func TestTextAtFault(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"empty", "", ":1: the file is empty"},
		{"comments alone", "# later\n", ":1: the file is empty"},
		{"half written", "name: acl\nsettable:\n  pps: {min: 1, ma", ":3: not YAML: "},
		{"half written JSON", "{\n  \"name\": \"acl\",\n  \"object\": \"/op", "not YAML: found unexpected end of stream"},
		{"binary", "\x7fELF\x02\x01\x01\x00", ":1: not YAML: control characters"},
		{"not UTF-8", "name: acl\n# \xff", ":1: the text is not UTF-8"},
		{"two documents", "name: acl\n---\nname: drop\n", ":2: a second document begins"},
		{"a list", "- name: acl\n", `:1: the entry: want an object, got [{"name":"acl"}]`},
		{"a word", "acl", `:1: the entry: want an object, got "acl"`},
		{"alias", "name: &x acl\nfunction: *x\n", ":1: name: anchors (&x) are not taken"},
		{"duplicate", "name: acl\npriority: 1\npriority: 2\n", ":3: priority: the field is there twice, first on line 2"},
		{"no name", "object: /o\n", ":1: name: invalid value: name is empty"},
		{"wrong name", "object: /o\nname: My_Program\n", `:2: name: invalid value: name "My_Program"`},
		{"path-like name", "name: ../../acl\nobject: /o\n", `:1: name: invalid value: name "../../acl"`},
		{"name of a wrong type", "name: [acl]\n", `:1: name: want a string, got ["acl"]`},
		{"image", "name: acl\nimage: r/a@sha256:0\n", ":2: image: programs from OCI images are not in this version"},
		{"maps", "name: acl\n\nmaps: {}\n", ":3: maps: an entry sets no maps"},
		{"side", "name: acl\nside: host\n", ":2: side: an entry has no side"},
		{"unknown field", "name: acl\nprio: 1\n", `:2: prio: unknown field; did you mean "priority"?`},
		{"relative object", "name: acl\nobject: acl.o\n", `:2: object: "acl.o" is not an absolute path`},
		{"no object", "name: mine\n", `:1: object: it is missing, and "mine" is no built-in program`},
		{"priority of a wrong type", "name: acl\npriority: high\n", `:2: priority: want a whole number, got "high"`},
		{"priority out of range", "name: acl\npriority: -1\n", ":2: priority: -1; it goes from 0"},
		{"priority far out of range", "name: acl\npriority: 2147483648\n", ":2: priority: 2147483648; it goes from 0"},
		{"octal", "name: acl\npriority: 010\n", ":2: priority: 010 is no number of JSON"},
		{"proceedOn", "name: acl\nproceedOn:\n- pass\n- accept\n", `:4: proceedOn[1]: invalid value: action "accept"`},
		{"globals of a wrong type", "name: acl\nglobals: [1]\n", ":2: globals: want an object, got [1]"},
		{"transmits of a wrong type", "name: acl\ntransmits: maybe\n", `:2: transmits: want true or false, got "maybe"`},
		{"settable of a wrong type", "name: acl\nsettable: [pps]\n", `:2: settable: want an object, got ["pps"]`},
		{"settable without bounds", "name: acl\nsettable:\n  pps:\n", `:3: settable.pps: want {"min": …, "max": …} or {"values": […]}`},
		{"settable upside down", "name: acl\nsettable:\n  pps: {min: 2, max: 1}\n", ":3: settable.pps: min 2 is over max 1"},
		{"settable not whole", "name: acl\nsettable:\n  pps:\n    min: 1\n    max: 1.5\n", ":5: settable.pps.max: want a whole number, got 1.5"},
		{"settable misspelt", "name: acl\nsettable:\n  pps: {min: 1, maxx: 2}\n", `:3: settable.pps.maxx: unknown field; did you mean "max"?`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := folder(t, map[string]string{"10-acl.yaml": tt.text})
			c := open(t, dir)
			for _, err := range []error{second(c.Entry("acl")), c.Check()} {
				if !errors.Is(err, ErrBroken) || !strings.Contains(err.Error(), dir+"/10-acl.yaml:") || !strings.Contains(err.Error(), tt.want) {
					t.Errorf("%v\nwant %q", err, tt.want)
				}
			}
			entry(t, c, "count")
		})
	}
}

func TestFileAtFault(t *testing.T) {
	tests := []struct {
		name string
		make func(path string) error
		want string
	}{
		{"folder", func(path string) error { return errors.Join(os.Remove(path), os.Mkdir(path, 0o755)) }, "a folder, not a regular file"},
		{"dangling link", func(path string) error { return errors.Join(os.Remove(path), os.Symlink("nowhere", path)) }, "no such file"},
		{"FIFO", func(path string) error { return errors.Join(os.Remove(path), unix.Mkfifo(path, 0o644)) }, "a FIFO, not a regular file"},
		{"device", func(path string) error { return errors.Join(os.Remove(path), os.Symlink("/dev/zero", path)) }, "a device, not a regular file"},
		{"of a user", func(path string) error { return os.Chown(path, 65534, 0) }, "the file belongs to user 65534"},
		{"of a group", func(path string) error { return os.Chmod(path, 0o664) }, "the file is writable by others than root (mode 0664)"},
		{"too large", func(path string) error { return os.Truncate(path, maxFileSize+1) }, "65537 bytes; at most 65536"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := folder(t, map[string]string{"acl.yaml": "name: acl\n"})
			path := filepath.Join(dir, "acl.yaml")
			if err := tt.make(path); err != nil {
				t.Fatal(err)
			}
			began := time.Now()
			c := open(t, dir)
			if took := time.Since(began); took > 5*time.Second {
				t.Errorf("it took %v to find out", took)
			}
			for _, err := range []error{second(c.Entry("acl")), c.Check()} {
				if !errors.Is(err, ErrBroken) || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), tt.want) {
					t.Errorf("%v, want %q", err, tt.want)
				}
			}
			entry(t, c, "count")
		})
	}
}

func TestSchemaFields(t *testing.T) {
	schematest.Open(t, "catalog-entry").Reads(t, document{})
}

func TestClaimedNames(t *testing.T) {
	for _, tt := range []struct {
		file, text string
		want       []string
	}{
		{"acl.yaml", "", []string{"acl"}},
		{"10-acl.yaml", "", []string{"10-acl", "acl"}},
		{"10-20-acl.yaml", "", []string{"10-20-acl", "20-acl"}},
		{"rate-limit.yaml", "", []string{"rate-limit"}},
		{"-x.yaml", "", []string{"-x", "x"}},
		{"a.yaml", "name: b\npriority: high\n", []string{"a", "b"}},
		{"a.yaml", "{\"name\": \"b\", \"name\": \"c\"}", []string{"a", "b", "c"}},
		{"a.yaml", "{\n\t\"priority\": 1,\n\t\"name\": \"b\",\n\t\"obj", []string{"a", "b"}},
		{"a.yaml", "{\"name\":\"b\"", []string{"a", "b"}},
		{"a.yaml", "# name: c\nname: 'b' # really\nx: [\nname: d\n", []string{"a", "b", "c", "d"}},
		{"a.yaml", "  name : b\r\nx: [", []string{"a", "b"}},
		{"a.yaml", "Name: b\npriority: high\n", []string{"a", "b"}},
		{"a.yaml", "name: [b]\n", []string{"a", "b"}},
		{"a.yaml", "filename: b\nx: [", []string{"a"}},
		{"a.yaml", "name:\nx: [", []string{"a"}},
		{"a.yaml", "name: a\nx: [", []string{"a"}},
		{"a.yaml", "\xff\xfe\nname: b\n", []string{"a", "b"}},
		{"a.yaml", "name: b\n---\nname: c\n", []string{"a", "b", "c"}},
		{"a.yaml", `{"object": "/o", "priority": 1, "priority": 2, "name": "b"}`, []string{"a", "b"}},
		{"a.yaml", `{"object": "/o", "priority": 1, "n\u0061me": "b", "x": 1}`, []string{"a", "b"}},
		{"a.yaml", "globals:\n  name: b\nname: c\npriority: 1\npriority: 2\n", []string{"a", "b", "c"}},
		{"a.yaml", "program:\n  name: b\n", []string{"a", "b"}},
		{"a.yaml", "- name: b\n- object: /o\n  name: c\n", []string{"a", "b", "c"}},
		{"a.yaml", "name:\n- b\nx: [", []string{"a", "b"}},
		{"a.yaml", "name: &n b\nobject: /o\n", []string{"a", "b"}},
		{"a.yaml", "name: &n b\nobject: *x\n", []string{"a", "b"}},
		{"a.yaml", "function: &n b\nname: *n\n", []string{"a", "b"}},
		{"a.yaml", "name: !!str b\n", []string{"a", "b"}},
		{"a.yaml", "name: !!str b\nobject: *x\n", []string{"a", "b"}},
		{"a.yaml", "name: >-\n  b\nobject: *x\n", []string{"a", "b"}},
		{"a.yaml", "name: # why\n  b\n", []string{"a", "b", "why"}},
		{"a.yaml", "name:\n  b\nobject: *x\n", []string{"a", "b"}},
		{"a.yaml", "? name\n: b\nobject: *x\n", []string{"a", "b"}},
		{"a.yaml", "\ufeffname: b\nobject: *x\n", []string{"a", "b"}},
		{"a.yaml", "\xff\xfen\x00a\x00m\x00e\x00:\x00 \x00b\x00", []string{"a", "b"}},
		{"a.yaml", "\xff\xfen\x00a\x00m\x00e\x00:\x00 \x00b\x00\n", []string{"a"}},
		{"a.yaml", "name: \"b \"\n", []string{"a", "b"}},
		{"a.yaml", "name: Rate_Limit\n", []string{"a", "rate-limit"}},
		{"a.yaml", "name:\nname: rename-name\nx: [", []string{"a", "rename-name"}},
		{"a.yaml", "object: /o\nna", []string{"a"}},
	} {
		if diff := cmp.Diff(tt.want, claimedNames("/etc/"+tt.file, []byte(tt.text))); diff != "" {
			t.Errorf("%s, %q (-want +got):\n%s", tt.file, tt.text, diff)
		}
	}
}

// An override that somebody else can write to, or that is too long, is none, and what it
// overrides does not come back.
func TestRefusedFileKeepsItsName(t *testing.T) {
	for name, spoil := range map[string]func(path string) error{
		"of a user":  func(path string) error { return os.Chown(path, 65534, 0) },
		"of a group": func(path string) error { return os.Chmod(path, 0o664) },
		"too long":   func(path string) error { return os.Truncate(path, maxFileSize+1) },
	} {
		dir := folder(t, map[string]string{"site.yaml": "name: acl\nobject: /o\n"})
		if err := spoil(filepath.Join(dir, "site.yaml")); err != nil {
			t.Fatal(err)
		}
		c := open(t, dir)
		if _, err := c.Entry("acl"); !errors.Is(err, ErrBroken) {
			t.Errorf("%s: %v", name, err)
		}
		entry(t, c, "count")
	}
}

// A file that may not be used is looked at for names all the same, and what is no
// regular file is not waited for.
func TestReadBeginning(t *testing.T) {
	dir := folder(t, map[string]string{"short": "name: b\n", "long": "name: b\n" + strings.Repeat("#", maxFileSize)})
	fifo := filepath.Join(dir, "fifo")
	if err := unix.Mkfifo(fifo, 0o644); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]int{
		filepath.Join(dir, "short"): 8,
		filepath.Join(dir, "long"):  maxFileSize,
		filepath.Join(dir, "none"):  0,
		fifo:                        0,
		dir:                         0,
		"/dev/zero":                 0,
	} {
		if got := len(readBeginning(path)); got != want {
			t.Errorf("%s: %d bytes, want %d", path, got, want)
		}
	}
}

// What a file may be meant for is found in time that grows with its size alone: a file of
// eight times the size takes some eight times as long, and not 64 times.
func TestClaimedNamesIsLinear(t *testing.T) {
	for _, part := range []string{"name: &", "name:&", "name", "name:", "name: ", "[", "- ", "--- name: b\n", "name: &a [*a, ", "name\"' "} {
		ratio := math.Inf(1)
		for range 5 { // the machine may be at something else
			small, large := claimedIn(part, maxFileSize/8), claimedIn(part, maxFileSize)
			if ratio = min(ratio, large.Seconds()/small.Seconds()); ratio < 32 {
				break
			}
		}
		if ratio >= 32 {
			t.Errorf("%q many times: eight times the size takes %.0f times as long", part, ratio)
		}
	}
}

// claimedIn takes the time over a text of one part many times.
func claimedIn(part string, size int) time.Duration {
	text := []byte(strings.Repeat(part, size/len(part)))
	began := time.Now()
	claimedNames("/a.yaml", text)
	return time.Since(began)
}

// A file at fault takes away a sound one whose name it may have been meant to have: it
// may have been meant to replace it.
func TestFileAtFaultBreaksWhatItMayBeAbout(t *testing.T) {
	dir := folder(t, map[string]string{"10-mine.yaml": "name: mine\nobject: /o\n", "90-mine.yaml": "name: other\nobject: [\n"})
	c := open(t, dir)
	for _, name := range []string{"mine", "other", "90-mine"} {
		if _, err := c.Entry(name); !errors.Is(err, ErrBroken) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := c.Entry("10-mine"); !errors.Is(err, ErrUnknown) || errors.Is(err, ErrBroken) {
		t.Errorf("10-mine: %v", err)
	}
	entry(t, c, "acl")
}
