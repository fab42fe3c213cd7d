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
)

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
		loadedFirst(a, b),
		cmp.Compare(a.instructions, b.instructions),
		strings.Compare(a.tag, b.tag),
		cmp.Compare(a.loadTime, b.loadTime),
	)
}

func loadedFirst(a, b rank) int {
	switch {
	case a.loaded == b.loaded:
		return 0
	case a.loaded:
		return -1
	}
	return 1
}
