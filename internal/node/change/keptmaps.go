// SPDX-License-Identifier: Apache-2.0

package change

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/cilium/ebpf"

	"github.com/xdp-chain/xdp-chain/internal/node/resolve"
	"github.com/xdp-chain/xdp-chain/internal/node/state"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
	"github.com/xdp-chain/xdp-chain/pkg/dispatcher"
)

// keptMaps opens the maps that a member brings along from the running
// generation: all of them where nothing about it but its place in the chain has
// changed, all but its global variables where those were set anew, and none where
// the object or the maps' settings are others. A member that keeps what is alike has
// those of its maps that fit its new program.
func (lc *LockedChain) keptMaps(w *resolve.Member) (map[string]*ebpf.Map, error) {
	m := w.Record
	old := lc.member(m.Name, m.Owner)
	if old == nil || !w.KeepsMaps && (old.Object != m.Object || old.Function != m.Function || !state.SameJSON(old.Maps, m.Maps)) {
		return make(map[string]*ebpf.Map), nil
	}
	opened, err := lc.lock.OpenMaps(m.Name)
	if errors.Is(err, fs.ErrNotExist) { // somebody unpinned them
		return make(map[string]*ebpf.Map), nil
	}
	if err != nil {
		return nil, err
	}
	if !w.KeepsMaps && state.SameJSON(old.Globals, m.Globals) {
		return opened, nil
	}
	for name, m := range opened {
		isGlobals := strings.HasPrefix(name, ".") // .rodata, .data, .bss
		setAnew := !state.SameJSON(old.Maps[name], w.Record.Maps[name])
		if isGlobals || setAnew || w.KeepsMaps && !fits(m, w.Program.Spec.Maps[name]) {
			m.Close()
			delete(opened, name)
		}
	}
	return opened, nil
}

// fits tells whether a map can stand for one that a program declares.
func fits(m *ebpf.Map, spec *ebpf.MapSpec) bool { return spec != nil && spec.Compatible(m) == nil }

// dropRedirects closes those kept devmaps and cpumaps of a member that have to be made
// anew, though the member stays: what their entries run, second stages, stays with the
// object and the maps that it was loaded with. kept are the maps the member is to have;
// others names those of them that are not the ones it ran with. A map that is shared stays,
// for its users know no other: it is for the kernel to say whether this chain can use it.
func dropRedirects(w *resolve.Member, kept map[string]*ebpf.Map, others map[string]bool, flipsFrags bool) {
	for name, spec := range w.Program.Spec.Maps {
		if kept[name] == nil || !dispatcher.Redirects(spec.Type) || w.SharesMap(name) {
			continue
		}
		configured := len(spec.Contents) > 0
		other := func(used string) bool { return kept[used] == nil || others[used] }
		stale := configured && w.KeepsMaps || slices.ContainsFunc(w.Program.EntryProgramMaps(name), other)
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

// flipsFrags reports whether a plan has the chain take packets of several buffers where
// it did not, or no more where it did: since Linux 5.18 no such two chains can use one
// devmap or cpumap (bpf_prog_map_compatible of kernel/bpf/core.c). In libxdp's dispatcher the
// programs that use them are extensions, which are all loaded alike.
func (lc *LockedChain) flipsFrags(p *plan) bool {
	return lc.hasMembers() && lc.rec.State.Dispatcher == chain.DispatcherLinked && lc.rec.State.Frags != p.frags()
}

// blameShared adds to an error of the kernel's, which says nothing then, that a chain cannot
// begin or cease to take packets of several buffers while it shares a map that redirects.
func (lc *LockedChain) blameShared(p *plan, err error) error {
	refused := (*dispatcher.RefusedError)(nil)
	if !errors.As(err, &refused) || len(refused.Log) > 0 || !lc.flipsFrags(p) {
		return err
	}
	for i := range p.members {
		w := &p.members[i]
		for name, spec := range w.Program.Spec.Maps {
			if dispatcher.Redirects(spec.Type) && w.SharesMap(name) {
				return fmt.Errorf("%w; either all chains that use the shared map %q of member %q take packets of several buffers (SEC(\"xdp.frags\")) or none does",
					err, name, w.Record.Name)
			}
		}
	}
	return err
}

// loadedProgram returns the extension program that a member runs as already, where it
// is to stay as it is in all but its place; otherwise nil. It is found's to close.
func (lc *LockedChain) loadedProgram(w *resolve.Member, given map[string]*ebpf.Map, found *state.LibxdpChain) (*ebpf.Program, error) {
	old := lc.member(w.Record.Name, w.Record.Owner)
	if old == nil || old.Object != w.Record.Object || old.Function != w.Record.Function || !state.SameJSON(old.Maps, w.Record.Maps) || !state.SameJSON(old.Globals, w.Record.Globals) {
		return nil, nil
	}
	s := found.Slot(old.ProgramID)
	if s == nil {
		return nil, nil
	}
	uses, err := usesMaps(s.Program, w.Program.Spec, given)
	if !uses || err != nil {
		return nil, err
	}
	return s.Program, nil
}

// usesMaps tells whether a loaded program uses the maps that are given for its spec: a
// network's may have been made anew since, and a pin of its own may be lost.
func usesMaps(p *ebpf.Program, spec *ebpf.CollectionSpec, given map[string]*ebpf.Map) (bool, error) {
	info, err := p.Info()
	if err != nil {
		return false, fmt.Errorf("read about %s: %w", p, err)
	}
	used, _ := info.MapIDs()
	for name := range spec.Maps {
		if given[name] == nil {
			return false, nil
		}
		info, err := given[name].Info()
		if err != nil {
			return false, fmt.Errorf("read about map %q: %w", name, err)
		}
		if id, _ := info.ID(); !slices.Contains(used, id) {
			return false, nil
		}
	}
	return true, nil
}
