// SPDX-License-Identifier: Apache-2.0

package node

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/cilium/ebpf"

	"github.com/xdp-chain/xdp-chain/pkg/chain"
	"github.com/xdp-chain/xdp-chain/pkg/object"
	"github.com/xdp-chain/xdp-chain/pkg/pin"
	"github.com/xdp-chain/xdp-chain/pkg/record"
)

// sharedMaps are the maps of a plan that belong to more than this chain: those
// of scope node, and those that somebody pinned.
type sharedMaps struct {
	byMember map[string]map[string]*ebpf.Map
	// lock is held only where a node-scoped map had to be made, until it is known
	// whether the chain that needs it comes into being.
	lock *pin.NodeLocked
	made []string
}

// sharedMaps opens the plan's shared maps, making the node-scoped ones that are
// not there yet. A death after one was pinned leaves it to the network, whose
// last attachment takes all of them down.
func (n *Node) sharedMaps(ctx context.Context, p plan) (*sharedMaps, error) {
	s := &sharedMaps{byMember: make(map[string]map[string]*ebpf.Map)}
	for i := range p.members {
		if err := s.addMember(ctx, n, p.network, &p.members[i]); err != nil {
			err = fmt.Errorf("program %q: %w", p.members[i].Name, err)
			err = errors.Join(err, s.undo())
			s.close()
			return nil, err
		}
	}
	// Pods that find all of the network's maps need not wait for each other.
	if s.lock != nil && len(s.made) == 0 {
		s.lock.Unlock()
		s.lock = nil
	}
	return s, nil
}

func (s *sharedMaps) addMember(ctx context.Context, n *Node, network string, w *wanted) error {
	for name := range w.Maps {
		if _, ok := w.program.Spec.Maps[name]; !ok {
			return fmt.Errorf("%w: no map %q", object.ErrUnusable, name)
		}
	}
	for name, spec := range w.program.Spec.Maps {
		var m *ebpf.Map
		var err error
		switch settings := w.Maps[name]; {
		case settings.Pinned != "":
			m, err = openPinned(settings.Pinned, spec)
		case w.program.MapScope(name, w.Maps) == chain.ScopeNode:
			m, err = s.nodeMap(ctx, n, network, nodeMapName(w, name), spec)
		}
		if err != nil {
			return fmt.Errorf("map %q: %w", name, err)
		}
		if m != nil {
			s.add(w.Name, name, m)
		}
	}
	return nil
}

func (s *sharedMaps) add(member, name string, m *ebpf.Map) {
	if s.byMember[member] == nil {
		s.byMember[member] = make(map[string]*ebpf.Map)
	}
	s.byMember[member][name] = m
}

// nodeMapName is the name of a node-scoped map in its network's folder. A map
// that its object declares LIBBPF_PIN_BY_NAME is shared by that name between all
// programs, as libbpf has it; any other belongs to one member.
func nodeMapName(w *wanted, name string) string {
	if declared := w.program.MapScope(name, nil); declared == chain.ScopeNode {
		return name
	}
	return w.Name + "." + name
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

// nodeMap opens a network's map, or makes it. Configured entries are put into a
// map that is there already too, so that a changed configuration reaches it.
func (s *sharedMaps) nodeMap(ctx context.Context, n *Node, network, name string, spec *ebpf.MapSpec) (*ebpf.Map, error) {
	lock, err := s.nodeLock(ctx, n, network)
	if err != nil {
		return nil, err
	}
	m, err := lock.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return s.makeNodeMap(lock, name, spec)
	}
	if err != nil {
		return nil, err
	}
	if err := spec.Compatible(m); err != nil {
		m.Close()
		return nil, fmt.Errorf("%w: the network's map %q has another shape: %w", object.ErrUnusable, name, err)
	}
	for _, kv := range spec.Contents {
		if err := m.Put(kv.Key, kv.Value); err != nil {
			m.Close()
			return nil, fmt.Errorf("put an entry into the network's map %q: %w", name, err)
		}
	}
	return m, nil
}

func (s *sharedMaps) nodeLock(ctx context.Context, n *Node, network string) (*pin.NodeLocked, error) {
	if s.lock == nil {
		lock, err := n.BPFFS.LockNode(ctx, network)
		if err != nil {
			return nil, err
		}
		s.lock = lock
	}
	return s.lock, nil
}

func (s *sharedMaps) makeNodeMap(lock *pin.NodeLocked, name string, spec *ebpf.MapSpec) (*ebpf.Map, error) {
	spec = spec.Copy()
	spec.Pinning = ebpf.PinNone
	m, err := ebpf.NewMap(spec)
	if err != nil {
		return nil, fmt.Errorf("make the network's map %q: %w", name, err)
	}
	if err := lock.Pin(name, m); err != nil {
		m.Close()
		return nil, err
	}
	s.made = append(s.made, name)
	return m, nil
}

// undo unpins what was made for a chain that did not come into being. Nobody else
// can have opened it: the network's lock is still held.
func (s *sharedMaps) undo() error {
	var errs []error
	for _, name := range s.made {
		errs = append(errs, s.lock.Unpin(name))
	}
	s.made = nil
	return errors.Join(errs...)
}

func (s *sharedMaps) close() {
	for _, opened := range s.byMember {
		closeMaps(opened)
	}
	if s.lock != nil {
		s.lock.Unlock()
	}
}

// keptMaps opens the maps that a member brings along from the running
// generation: all of them where nothing about it but its place in the chain has
// changed, all but its global variables where those were set anew, and none where
// the object or the maps' settings are others.
func (t *tenure) keptMaps(m record.Member) (map[string]*ebpf.Map, error) {
	old := t.member(m.Name, m.Owner)
	if old == nil || old.Object != m.Object || old.Function != m.Function || !sameJSON(old.Maps, m.Maps) {
		return nil, nil
	}
	opened, err := t.lock.OpenMaps(m.Name)
	if errors.Is(err, fs.ErrNotExist) { // somebody unpinned them
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if sameJSON(old.Globals, m.Globals) {
		return opened, nil
	}
	for name, m := range opened {
		if strings.HasPrefix(name, ".") { // .rodata, .data, .bss
			m.Close()
			delete(opened, name)
		}
	}
	return opened, nil
}

// member finds a member of the running generation.
func (t *tenure) member(name string, owner record.Owner) *record.Member {
	if t.rec == nil || t.rec.State == nil {
		return nil
	}
	for i, m := range t.rec.State.Members {
		if m.Name == name && m.Owner.Same(owner) {
			return &t.rec.State.Members[i]
		}
	}
	return nil
}

// sameJSON compares what the record would say: white space in raw JSON and the
// difference between nil and empty do not count.
func sameJSON[T any](a, b T) bool {
	left, errLeft := json.Marshal(a)
	right, errRight := json.Marshal(b)
	return errLeft == nil && errRight == nil && bytes.Equal(left, right)
}
