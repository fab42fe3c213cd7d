// SPDX-License-Identifier: Apache-2.0

package catalog

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestMeant(t *testing.T) {
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
		{"a.yaml", "{\"name\": \"b\", \"name\": \"c\"}", []string{"a", "b"}},
		{"a.yaml", "{\n\t\"priority\": 1,\n\t\"name\": \"b\",\n\t\"obj", []string{"a", "b"}},
		{"a.yaml", "{\"name\":\"b\"", []string{"a", "b"}},
		{"a.yaml", "# name: c\nname: 'b' # really\nx: [\nname: d\n", []string{"a", "b"}},
		{"a.yaml", "  name : b\r\nx: [", []string{"a", "b"}},
		{"a.yaml", "Name: b\npriority: high\n", []string{"a", "b"}},
		{"a.yaml", "name: [b]\n", []string{"a"}},
		{"a.yaml", "filename: b\nx: [", []string{"a"}},
		{"a.yaml", "name:\nx: [", []string{"a"}},
		{"a.yaml", "name: a\nx: [", []string{"a"}},
		{"a.yaml", "\xff\xfe\nname: b\n", []string{"a", "b"}},
	} {
		if diff := cmp.Diff(tt.want, meant("/etc/"+tt.file, []byte(tt.text))); diff != "" {
			t.Errorf("%s, %q (-want +got):\n%s", tt.file, tt.text, diff)
		}
	}
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
