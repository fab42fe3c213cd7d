// SPDX-License-Identifier: Apache-2.0

package node

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"github.com/cilium/ebpf"

	"github.com/xdp-chain/xdp-chain/internal/config"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
	"github.com/xdp-chain/xdp-chain/pkg/dispatcher"
)

// dropRedirects closes those kept devmaps and cpumaps of a member that have to be made
// anew, though the member stays: what their entries run, second stages, stays with the
// object and the maps that it was loaded with. kept are the maps the member is to have;
// others names those of them that are not the ones it ran with. A map that is shared stays,
// for its users know no other: it is for the kernel to say whether this chain can use it.
func (w *wanted) dropRedirects(kept map[string]*ebpf.Map, others map[string]bool, flipsFrags bool) {
	for name, spec := range w.program.Spec.Maps {
		if kept[name] == nil || !dispatcher.Redirects(spec.Type) || w.shares(name) {
			continue
		}
		configured := len(spec.Contents) > 0
		other := func(used string) bool { return kept[used] == nil || others[used] }
		stale := configured && w.keepsShape || slices.ContainsFunc(w.program.EntryProgramMaps(name), other)
		if !stale && !flipsFrags {
			continue
		}
		if !configured {
			spec.Contents = plainEntries(kept[name])
		}
		kept[name].Close()
		delete(kept, name)
	}
}

// shares tells whether a map of the member is not its chain's own.
func (w *wanted) shares(name string) bool {
	return w.Maps[name].Pinned != "" || w.scope(name) == config.ScopeNode
}

// plainEntries returns what somebody has put into a map that redirects, but for entries
// with programs: these were loaded for chains that do, or do not, take packets of several
// buffers.
func plainEntries(m *ebpf.Map) (contents []ebpf.MapKV) {
	var key, value []byte
	for entries := m.Iterate(); entries.Next(&key, &value); {
		// A value ends with the id of the program, where there is room for one.
		if len(value) == 4 || bytes.Equal(value[4:], make([]byte, 4)) {
			contents = append(contents, ebpf.MapKV{Key: bytes.Clone(key), Value: bytes.Clone(value)})
		}
	}
	return contents
}

// flipsFrags reports whether a plan has the chain take packets of several buffers where
// it did not, or no more where it did: since Linux 5.18 no such two chains can use one
// devmap or cpumap (bpf_prog_map_compatible of kernel/bpf/core.c). In libxdp's dispatcher the
// programs that use them are extensions, which are all loaded alike.
func (t *tenure) flipsFrags(p *plan) bool {
	return t.hasMembers() && t.rec.State.Dispatcher == chain.DispatcherLinked && t.rec.State.Frags != p.frags()
}

// frags reports whether every member takes packets of several buffers.
func (p *plan) frags() bool {
	return !slices.ContainsFunc(p.members, func(w wanted) bool { return !w.program.Frags })
}

// blameShared adds to an error of the kernel's, which says nothing then, that a chain cannot
// begin or cease to take packets of several buffers while it shares a map that redirects.
func (t *tenure) blameShared(p *plan, err error) error {
	refused := (*dispatcher.RefusedError)(nil)
	if !errors.As(err, &refused) || len(refused.Log) > 0 || !t.flipsFrags(p) {
		return err
	}
	for i := range p.members {
		w := &p.members[i]
		for name, spec := range w.program.Spec.Maps {
			if dispatcher.Redirects(spec.Type) && w.shares(name) {
				return fmt.Errorf("%w; either all chains that use the shared map %q of member %q take packets of several buffers (SEC(\"xdp.frags\")) or none does",
					err, name, w.Name)
			}
		}
	}
	return err
}

// isSame reports whether two files are of one map. A nil is of none.
func isSame(a, b *ebpf.Map) bool {
	if a == nil || b == nil {
		return false
	}
	infoA, errA := a.Info()
	infoB, errB := b.Info()
	if errA != nil || errB != nil {
		return false
	}
	idA, _ := infoA.ID()
	idB, _ := infoB.ID()
	return idA == idB
}
