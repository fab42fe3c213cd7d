// SPDX-License-Identifier: Apache-2.0

package config

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/xdp-chain/xdp-chain/pkg/chain"
)

func TestNamespacesAdmit(t *testing.T) {
	tests := []struct {
		name       string
		namespaces Namespaces
		namespace  string
		want       bool
	}{
		{"no lists", Namespaces{}, "shop", true},
		{"no lists, no namespace", Namespaces{}, "", true},
		{"excluded", Namespaces{Exclude: []string{"a", "shop"}}, "shop", false},
		{"not excluded", Namespaces{Exclude: []string{"a"}}, "shop", true},
		{"not excluded, no namespace", Namespaces{Exclude: []string{"a"}}, "", true},
		{"included", Namespaces{Include: []string{"a", "shop"}}, "shop", true},
		{"not included", Namespaces{Include: []string{"a"}}, "shop", false},
		{"not included, no namespace", Namespaces{Include: []string{"a"}}, "", false},
		{"nothing included", Namespaces{Include: []string{}}, "shop", false},
		{"nothing excluded", Namespaces{Exclude: []string{}}, "shop", true},
	}
	for _, tt := range tests {
		if got := tt.namespaces.Admits(tt.namespace); got != tt.want {
			t.Errorf("%s: admits(%q) = %t, want %t", tt.name, tt.namespace, got, tt.want)
		}
	}
}

func TestBandAdmits(t *testing.T) {
	band := &Band{Min: 100, Max: 199}
	for priority, want := range map[int]bool{-1: false, 0: false, 99: false, 100: true, 150: true, 199: true, 200: false, chain.MaxPriority: false} {
		err := band.Admit(priority)
		if (err == nil) != want {
			t.Errorf("priority %d: %v", priority, err)
		}
		if err != nil && (!errors.Is(err, ErrPolicy) || !strings.Contains(err.Error(), "100 to 199")) {
			t.Errorf("priority %d: %v; want an ErrPolicy that names the band", priority, err)
		}
	}
	if err := (*Band)(nil).Admit(-1); err != nil {
		t.Errorf("no band refuses: %v", err)
	}
	if (&Band{}).Admit(0) != nil || (&Band{}).Admit(1) == nil {
		t.Error("the zero band is not priority 0 alone")
	}
}

func TestBandCheck(t *testing.T) {
	for _, right := range []Band{{}, {100, 199}, {7, 7}, {0, chain.MaxPriority}} {
		if err := right.Check(); err != nil {
			t.Errorf("%v: %v", right, err)
		}
	}
	for _, wrong := range []Band{{-1, 5}, {5, 4}, {0, chain.MaxPriority + 1}} {
		if err := wrong.Check(); !errors.Is(err, chain.ErrInvalid) {
			t.Errorf("%v: %v", wrong, err)
		}
	}
}

// A band is the policy's word; nobody can put it into a document.
func TestBandIsNoPartOfADocument(t *testing.T) {
	var p Program
	if err := json.Unmarshal([]byte(`{"name": "a", "band": {"min": 0, "max": 9}, "Band": {"min": 0, "max": 9}}`), &p); err != nil || p.Band != nil {
		t.Errorf("band %v, %v", p.Band, err)
	}
	p.Band = &Band{Min: 1, Max: 2}
	if text, err := json.Marshal(p); err != nil || string(text) != `{"name":"a"}` {
		t.Errorf("written as %s, %v", text, err)
	}
}
