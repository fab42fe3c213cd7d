// SPDX-License-Identifier: Apache-2.0

package node

import (
	"fmt"
	"slices"

	"github.com/cilium/ebpf"
)

// loadedProgram returns the extension program that a member runs as already, where it
// is to stay as it is in all but its place; otherwise nil. It is found's to close.
func (t *tenure) loadedProgram(w *wanted, given map[string]*ebpf.Map, found *libxdpChain) (*ebpf.Program, error) {
	old := t.member(w.Name, w.Owner)
	if old == nil || old.Object != w.Object || old.Function != w.Function || !sameJSON(old.Maps, w.Maps) || !sameJSON(old.Globals, w.Globals) {
		return nil, nil
	}
	s := found.slot(old.ProgramID)
	if s == nil {
		return nil, nil
	}
	uses, err := usesMaps(s.program, w.program.Spec, given)
	if !uses || err != nil {
		return nil, err
	}
	return s.program, nil
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
