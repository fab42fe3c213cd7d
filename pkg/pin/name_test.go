// SPDX-License-Identifier: Apache-2.0

package pin

import (
	"errors"
	"strings"
	"testing"

	"github.com/xdp-chain/xdp-chain/pkg/chain"
)

func TestEntryName(t *testing.T) {
	for _, tt := range []struct{ name, entry string }{
		{"rules", "rules"},
		{".rodata", ":rodata"},
		{".data.percpu", ":data:percpu"},
		{"k8s.pod-network_1", "k8s:pod-network_1"},
		{"..", "::"},
		{strings.Repeat("x", 255), strings.Repeat("x", 255)},
	} {
		entry, err := entryName(tt.name)
		if err != nil || entry != tt.entry {
			t.Errorf("entryName(%q) = %q, %v; want %q", tt.name, entry, err, tt.entry)
		}
		if back := nameOf(entry); back != tt.name {
			t.Errorf("nameOf(%q) = %q; want %q", entry, back, tt.name)
		}
	}
}

func TestEntryNameRefuses(t *testing.T) {
	for _, name := range []string{"", "a/b", "../x", "a:b", "a\x00b", strings.Repeat("x", 256)} {
		if entry, err := entryName(name); !errors.Is(err, chain.ErrInvalid) {
			t.Errorf("entryName(%q) = %q, %v; want chain.ErrInvalid", name, entry, err)
		}
	}
}
