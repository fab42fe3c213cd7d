// SPDX-License-Identifier: Apache-2.0

package libxdp

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

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

// order sorts members as they run: by chain.Compare, or as libxdp does as soon as a
// member of libxdp's tools is among them. Those tools sort the whole chain anew with
// each change of theirs, by names that are not the members' but their functions'; so
// it stays as it is whoever changes it.
func order(members []dispatcher.Member) error {
	if !slices.ContainsFunc(members, func(m dispatcher.Member) bool { return m.Spec == nil }) {
		slices.SortFunc(members, func(a, b dispatcher.Member) int { return chain.Compare(a.Member, b.Member) })
		return nil
	}
	ranks := make(map[string]rank, len(members))
	for i := range members {
		r, err := rankOf(&members[i])
		if err != nil {
			return fmt.Errorf("reading what member %q is ordered by: %w", members[i].Name, err)
		}
		ranks[members[i].Name] = r
	}
	slices.SortStableFunc(members, func(a, b dispatcher.Member) int { return compare(ranks[a.Name], ranks[b.Name]) })
	return nil
}

// rank is what libxdp orders programs by (cmp_xdp_programs).
type rank struct {
	priority     int
	function     string
	loaded       bool
	instructions int // of those that are not loaded
	tag          string
	loadTime     time.Duration
}

func rankOf(m *dispatcher.Member) (rank, error) {
	if m.Loaded == nil {
		p := m.Spec.Programs[m.Function]
		return rank{priority: m.Priority, function: p.Name, instructions: len(p.Instructions)}, nil
	}
	info, err := m.Loaded.Info()
	if err != nil {
		return rank{}, err
	}
	loadTime, _ := info.LoadTime()
	return rank{priority: m.Priority, function: info.Name, loaded: true, tag: info.Tag, loadTime: loadTime}, nil
}

func compare(a, b rank) int {
	return cmp.Or(
		cmp.Compare(a.priority, b.priority),
		strings.Compare(a.function, b.function),
		cmp.Compare(flag(b.loaded), flag(a.loaded)), // those that are loaded come first
		cmp.Compare(a.instructions, b.instructions),
		strings.Compare(a.tag, b.tag),
		cmp.Compare(a.loadTime, b.loadTime),
	)
}
