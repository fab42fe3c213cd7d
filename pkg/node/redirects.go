// SPDX-License-Identifier: Apache-2.0

package node

import (
	"slices"

	"github.com/cilium/ebpf"
)

// dropRedirects closes those kept devmaps and cpumaps of a member that have to be made
// anew, though the member stays: what their entries run, second stages, stays with the
// object and the maps that it was loaded with. kept are the maps the member is to have;
// others names those of them that are not the ones it ran with.
func (w *wanted) dropRedirects(kept map[string]*ebpf.Map, others map[string]bool, flipsFrags bool) {
	for name, spec := range w.program.Spec.Maps {
		if kept[name] == nil || !holdsTargets(spec) {
			continue
		}
		used := w.program.StageMaps(name)
		other := func(used string) bool { return kept[used] == nil || others[used] }
		if flipsFrags || w.keepsShape || slices.ContainsFunc(used, other) {
			kept[name].Close()
			delete(kept, name)
		}
	}
}

// holdsTargets reports whether a map redirects by entries that are the configuration's.
func holdsTargets(spec *ebpf.MapSpec) bool {
	redirects := spec.Type == ebpf.DevMap || spec.Type == ebpf.DevMapHash || spec.Type == ebpf.CPUMap
	return redirects && len(spec.Contents) > 0
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
