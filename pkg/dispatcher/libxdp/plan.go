// SPDX-License-Identifier: Apache-2.0

package libxdp

import (
	"fmt"

	"github.com/xdp-chain/xdp-chain/pkg/chain"
	"github.com/xdp-chain/xdp-chain/pkg/dispatcher"
	"github.com/xdp-chain/xdp-chain/pkg/dispatcher/internal/load"
)

// plan is what a dispatcher says of itself, and which of its functions each member
// takes the place of.
type plan struct {
	config    *Config
	functions []string
}

// makePlan puts members, which are in running order, into slots.
func makePlan(version chain.LibxdpVersion, members []dispatcher.Member, frags bool) plan {
	p := plan{config: &Config{Version: version, Frags: frags}}
	for i := range members {
		m := &members[i]
		p.config.Slots = append(p.config.Slots, SlotConfig{Priority: m.Priority, ProceedOn: actions(m), Frags: load.MemberFrags(m)})
		p.functions = append(p.functions, fmt.Sprint("prog", i))
	}
	if len(members) == 1 && verdictStands(&members[0]) {
		p.functions[0] = ProgramName
	}
	return p
}

// actions returns the mask of a member's slot. libxdp sets the bit of
// dispatcher_return in every one, so that an empty slot lets packets through; its
// tools read masks without it alike. By the meaning of a chain the bit belongs to
// the member, so where the member might return that value and does not name it in its
// proceedOn, it is left out. No slot is ever empty on an interface.
func actions(m *dispatcher.Member) chain.ActionSet {
	const bit = 1 << chain.DispatcherReturn
	if m.Spec != nil && returnsOf(m).any(bit) {
		return m.ProceedOn
	}
	return m.ProceedOn | bit
}

// verdictStands reports whether the only member of a chain may take the place of the
// dispatcher itself, as libxdp has it: then its verdict is the chain's, whatever its
// proceedOn. By the meaning of a chain a verdict in proceedOn leads past its end, that
// is to XDP_PASS. So a member that may return another one of those goes into the
// first of one slots. To libxdp's tools both look the same.
func verdictStands(m *dispatcher.Member) bool {
	return m.Spec == nil || !returnsOf(m).any(m.ProceedOn&^(1<<chain.Pass))
}

func returnsOf(m *dispatcher.Member) returns {
	return returnsFrom(m.Spec.Programs[m.Function].Instructions)
}
