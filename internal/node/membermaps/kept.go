// SPDX-License-Identifier: Apache-2.0

package membermaps

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/cilium/ebpf"

	"github.com/xdp-chain/xdp-chain/internal/bpfspec"
	"github.com/xdp-chain/xdp-chain/internal/node/resolve"
	"github.com/xdp-chain/xdp-chain/internal/node/state"
	"github.com/xdp-chain/xdp-chain/internal/record"
	"github.com/xdp-chain/xdp-chain/pkg/object"
	"github.com/xdp-chain/xdp-chain/pkg/pin"
)

// kept opens the maps that a member brings along from the running
// generation: all of them where nothing about it but its place in the chain has
// changed, all but its global variables where those were set anew, and none where
// the object or the maps' settings are others. A member that keeps what is alike has
// those of its maps that fit its new program.
func kept(lock *pin.Locked, running *record.State, w *resolve.Member) (map[string]*ebpf.Map, error) {
	m := w.Record
	old := running.Member(m.Name, m.Owner)
	if old == nil || !w.KeepsMaps && (old.Object != m.Object || old.Function != m.Function || !state.SameJSON(old.Maps, m.Maps)) {
		return make(map[string]*ebpf.Map), nil
	}
	opened, err := lock.OpenMaps(m.Name)
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
		if kept[name] == nil || !bpfspec.Redirects(spec.Type) || w.SharesMap(name) {
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

// Pinned opens the maps of a member that somebody else has to have pinned.
func Pinned(w *resolve.Member) (map[string]*ebpf.Map, error) {
	opened := make(map[string]*ebpf.Map)
	for name, settings := range w.Record.Maps {
		if settings.Pinned == "" {
			continue
		}
		m, err := openPinned(settings.Pinned, w.Program.Spec.Maps[name])
		if err != nil {
			state.CloseMaps(opened)
			return nil, fmt.Errorf("map %q: %w", name, err)
		}
		opened[name] = m
	}
	return opened, nil
}

func openPinned(path string, spec *ebpf.MapSpec) (*ebpf.Map, error) {
	m, err := ebpf.LoadPinnedMap(path, nil)
	if err != nil {
		return nil, fmt.Errorf("%w: no map can be opened at pinned path %s: %w", object.ErrUnusable, path, err)
	}
	if err := spec.Compatible(m); err != nil {
		m.Close()
		return nil, fmt.Errorf("%w: the map pinned at %s: %w", object.ErrUnusable, path, err)
	}
	return m, nil
}
