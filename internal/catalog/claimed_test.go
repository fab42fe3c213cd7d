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
)

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
