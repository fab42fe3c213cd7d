// SPDX-License-Identifier: Apache-2.0

package catalog

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/xdp-chain/xdp-chain/internal/config"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
)

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
