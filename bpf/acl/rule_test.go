// SPDX-License-Identifier: Apache-2.0

package acl_test

import (
	"net/netip"
	"testing"

	"github.com/cilium/ebpf"

	x "github.com/xdp-chain/xdp-chain/bpf/internal/xdptest"
)

// The values of enum acl_action.
const (
	unset = 0
	deny  = 1
	allow = 2
)

// wireRule is struct acl_rule of acl.c.
type wireRule struct {
	First, Last      uint16
	PrefixLen        uint32
	Addr             [16]byte
	Protocol, Action uint8
	_                [6]byte
}

// rule is what a person means by an acl_rule. The zero Source is any source.
type rule struct {
	Source      netip.Prefix
	Protocol    uint8
	First, Last uint16
	Action      uint8
}

func (r rule) wire() wireRule {
	w := wireRule{First: r.First, Last: r.Last, Protocol: r.Protocol, Action: r.Action}
	if r.Source.IsValid() {
		w.Addr = r.Source.Addr().As16()
		w.PrefixLen = uint32(r.Source.Bits())
		if r.Source.Addr().Is4() {
			w.PrefixLen += 96
		}
	}
	return w
}

// load loads the program with rules from key 0 on.
func load(t testing.TB, defaultAction uint8, rules ...rule) *ebpf.Program {
	t.Helper()
	spec := x.Spec(t, "acl")
	if err := spec.Variables["default_action"].Set(defaultAction); err != nil {
		t.Fatal(err)
	}
	coll := x.Load(t, spec)
	put(t, coll.Maps["rules"], rules)
	return coll.Programs["acl"]
}

// put sets the rules from key 0 on and unsets the rest.
func put(t testing.TB, m *ebpf.Map, rules []rule) {
	t.Helper()
	keys := make([]uint32, m.MaxEntries())
	values := make([]wireRule, m.MaxEntries())
	for i := range keys {
		keys[i] = uint32(i)
		if i < len(rules) {
			values[i] = rules[i].wire()
		}
	}
	if _, err := m.BatchUpdate(keys, values, nil); err != nil {
		t.Fatal(err)
	}
}
