// SPDX-License-Identifier: Apache-2.0

package linked

import (
	"fmt"
	"strings"

	"github.com/cilium/ebpf"

	"github.com/xdp-chain/xdp-chain/pkg/dispatcher"
)

// maxMaps is the kernel's MAX_USED_MAPS (linux/bpf_verifier.h).
const maxMaps = 64

// checkMapCount refuses members that use more maps than a program can, and says how
// many each uses.
func checkMapCount(members []dispatcher.Member, opts dispatcher.Options) error {
	total, _, err := countAllMaps(members, opts, nil)
	if total <= maxMaps || err != nil {
		return err
	}
	// Members may have been given the same map, which is one to the kernel. Asking
	// which is which costs system calls, so only chains that need it do.
	total, counts, err := countAllMaps(members, opts, make(map[ebpf.MapID]bool))
	if total <= maxMaps || err != nil {
		return err
	}
	return fmt.Errorf("%w: they use %d and a program can use %d: %s", dispatcher.ErrTooManyMaps, total, maxMaps, strings.Join(counts, ", "))
}

func countAllMaps(members []dispatcher.Member, opts dispatcher.Options, given map[ebpf.MapID]bool) (total int, counts []string, _ error) {
	for i := range members {
		n, err := countMaps(&members[i], given)
		if err != nil {
			return 0, nil, err
		}
		total += n
		counts = append(counts, fmt.Sprintf("%s %d", members[i].Name, n))
	}
	if opts.Counters {
		total++
		counts = append(counts, "the counters 1")
	}
	return total, counts, nil
}

// countMaps counts the maps that a member's instructions load. Unless given is nil,
// maps that were given to the member are put there, and those there not counted.
func countMaps(m *dispatcher.Member, given map[ebpf.MapID]bool) (int, error) {
	seen := make(map[string]bool)
	n := 0
	for _, ins := range m.Spec.Programs[m.Function].Instructions {
		name := ins.Reference()
		if !ins.IsLoadFromMap() || seen[name] {
			continue
		}
		seen[name] = true
		if given != nil && m.Maps[name] != nil {
			id, err := mapID(m.Maps[name])
			if err != nil {
				return 0, fmt.Errorf("map %q given to member %q: %w", name, m.Name, err)
			}
			if given[id] {
				continue
			}
			given[id] = true
		}
		n++
	}
	return n, nil
}

func mapID(m *ebpf.Map) (ebpf.MapID, error) {
	info, err := m.Info()
	if err != nil {
		return 0, err
	}
	id, ok := info.ID()
	if !ok {
		return 0, fmt.Errorf("asking for its id: %w", ebpf.ErrNotSupported)
	}
	return id, nil
}
