// SPDX-License-Identifier: Apache-2.0

package record

import (
	"bytes"
	"testing"
)

// FuzzRecord decodes whatever bytes as a record: they are refused, or they are a
// record that can be encoded and comes back the same.
func FuzzRecord(f *testing.F) {
	complete, err := encodeRecord(*full())
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{
		string(complete), valid, "", "null", "{}", `{"version":2}`, `{"version":1,"key":"4097-3"}`,
		`{"version":1,"key":"4097-3","base":[{"member":"a","verdict":"drop","packets":18446744073709551615}]}`,
		`{"version":1,"key":"4097-3","pending":{"members":[{"name":"a","globals":{"x":null,"y":"\u2028<"}}]}}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		r, err := decodeRecord(content)
		if err != nil {
			return
		}
		once, err := encodeRecord(*r)
		if err != nil {
			t.Fatalf("what was decoded cannot be encoded: %v", err)
		}
		again, err := decodeRecord(once)
		if err != nil {
			t.Fatalf("what was encoded cannot be decoded: %v", err)
		}
		twice, err := encodeRecord(*again)
		if err != nil || !bytes.Equal(once, twice) {
			t.Errorf("encoded, decoded and encoded it changes, %v:\n%s\n%s", err, once, twice)
		}
	})
}
