// SPDX-License-Identifier: Apache-2.0

package node

import (
	"bytes"
	"slices"

	"github.com/cilium/ebpf"
)

// dropRedirects closes those kept devmaps and cpumaps of a member that have to be made
// anew, though the member stays: what their entries run, second stages, stays with the
// object and the maps that it was loaded with. kept are the maps the member is to have;
// others names those of them that are not the ones it ran with.
func (w *wanted) dropRedirects(kept map[string]*ebpf.Map, others map[string]bool, flipsFrags bool) {
	for name, spec := range w.program.Spec.Maps {
		if kept[name] == nil || !redirects(spec) {
			continue
		}
		configured := len(spec.Contents) > 0
		other := func(used string) bool { return kept[used] == nil || others[used] }
		stale := configured && w.keepsShape || slices.ContainsFunc(w.program.StageMaps(name), other)
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

func redirects(spec *ebpf.MapSpec) bool {
	return spec.Type == ebpf.DevMap || spec.Type == ebpf.DevMapHash || spec.Type == ebpf.CPUMap
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
// devmap or cpumap (bpf_prog_map_compatible of kernel/bpf/core.c).
func (t *tenure) flipsFrags(p *plan) bool {
	return t.hasMembers() && t.rec.State.Frags != p.frags()
}

// frags reports whether every member takes packets of several buffers.
func (p *plan) frags() bool {
	return !slices.ContainsFunc(p.members, func(w wanted) bool { return !w.program.Frags })
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
