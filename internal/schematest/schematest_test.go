// SPDX-License-Identifier: Apache-2.0

package schematest

import (
	"reflect"
	"strings"
	"testing"
)

type row struct {
	Member  string `json:"member"`
	Verdict string `json:"verdict"`
	Packets uint64 `json:"packets"`
}

type chain[R any] struct {
	Key       string `json:"key"`
	Interface string `json:"interface"`
	Rows      []R    `json:"rows"`
	State     string `json:"state"`
	Reason    string `json:"reason,omitempty"`
}

// Each type differs in one thing from what the schema of stats says, the first in none.
func TestDifferences(t *testing.T) {
	type short struct {
		Member string `json:"member"`
	}
	type optional struct {
		Member  string `json:"member"`
		Verdict string `json:"verdict,omitempty"`
		Packets uint64 `json:"packets"`
	}
	type embedding struct {
		row
		Verdict string `json:"verdict"`
	}
	type extended struct {
		chain[row]
		More int `json:"more"`
	}
	for _, tt := range []struct {
		value any
		want  string // of what is printed
		reads bool   // the same where it is read
	}{
		{[]chain[row]{}, "", true},
		{[]*chain[embedding]{}, "", true},
		{[]chain[short]{}, `fields of schematest.short at "[].rows[]"`, false},
		{[]chain[optional]{}, `required fields of schematest.optional at "[].rows[]"`, true},
		{[]extended{}, `fields of schematest.extended at "[]"`, false},
	} {
		s := Open(t, "stats").compiled
		printed := strings.Join(differences(s, reflect.TypeOf(tt.value), "", true), "\n")
		if !strings.HasPrefix(printed, tt.want) || (tt.want == "") != (printed == "") {
			t.Errorf("%T: %q, want %q", tt.value, printed, tt.want)
		}
		if read := differences(s, reflect.TypeOf(tt.value), "", false); (len(read) == 0) != tt.reads {
			t.Errorf("%T: %q", tt.value, read)
		}
	}
}

func TestCheck(t *testing.T) {
	s := Open(t, "stats")
	for document, good := range map[string]bool{
		`[]`:   true,
		`[{}]`: false,
		`[{"key": "1-2", "interface": "eth0", "state": "running", "rows": []}]`:  true,
		`[{"key": "eth0", "interface": "eth0", "state": "running", "rows": []}]`: false, // by a schema that it refers to
		`[`: false,
	} {
		if err := s.Check([]byte(document)); (err == nil) != good {
			t.Errorf("%s: %v", document, err)
		}
	}
}
