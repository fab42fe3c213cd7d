// SPDX-License-Identifier: Apache-2.0

package catalog

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

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
