// SPDX-License-Identifier: Apache-2.0

// Package membermaps gives the members of a chain that is to be their maps: those that they
// keep from the chain that runs, those that a network's pods share, and those that somebody else
// has pinned. What is left is new and made with the program, by the dispatcher.
//
// # Invariants
//
// A map that is kept fits the program as it is declared now. A network's maps are made under its
// lock, which is held until it is known whether the chain that needs them comes into being
// ([Replacements.Keep], else [Replacements.Undo]).
//
// # Traps
//
// Entries of node-scoped maps are put in and never taken out: nobody knows who else
// relies on them. What an older configuration put there, such as the rules that a
// newer one has fewer of, stays until the network's last attachment goes.
package membermaps

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/cilium/ebpf"

	"github.com/xdp-chain/xdp-chain/internal/bpfspec"
	"github.com/xdp-chain/xdp-chain/internal/config"
	"github.com/xdp-chain/xdp-chain/internal/node/resolve"
	"github.com/xdp-chain/xdp-chain/internal/node/state"
	"github.com/xdp-chain/xdp-chain/internal/record"
	"github.com/xdp-chain/xdp-chain/pkg/object"
	"github.com/xdp-chain/xdp-chain/pkg/pin"
)

// Replacements are the maps that members of a plan do not get made for them: those
// that they keep, those of scope node, and those that somebody pinned.
type Replacements struct {
	// ByMember has the maps by member, then by name in its object. They stay the Replacements'.
	ByMember map[string]map[string]*ebpf.Map
	networks map[string]*networkMaps
	// updates are the entries for maps that were there already.
	updates []pendingUpdate
}

// networkMaps is a network with node-scoped maps of the plan. Its lock is held
// while they are looked up, and where some had to be made until it is known whether
// the chain that needs them comes into being.
type networkMaps struct {
	lock *pin.NodeLocked
	made []string
}

type pendingUpdate struct {
	name     string
	into     *ebpf.Map
	contents []ebpf.MapKV
}

// Open opens the maps, making the node-scoped ones that are not there yet. A
// death after one was pinned leaves it to the network, whose last attachment takes
// all of them down.
func Open(ctx context.Context, n *state.Node, lock *pin.Locked, running *record.State, list []resolve.Member, flipsFrags bool) (*Replacements, error) {
	g := &Replacements{ByMember: make(map[string]map[string]*ebpf.Map), networks: make(map[string]*networkMaps)}
	// Owners of several networks may share the chain. Whoever needs the locks of
	// several takes them in the order of their names.
	members := slices.Clone(list)
	slices.SortStableFunc(members, func(a, b resolve.Member) int {
		return cmp.Compare(state.MapsNetwork(a.Record.Owner), state.MapsNetwork(b.Record.Owner))
	})
	for i := range members {
		if err := g.addMember(ctx, n, lock, running, &members[i], flipsFrags); err != nil {
			err = fmt.Errorf("program %q: %w", members[i].Record.Name, err)
			err = errors.Join(err, g.Undo())
			g.Close()
			return nil, err
		}
	}
	// Pods that find all of the network's maps need not wait for each other.
	for name, network := range g.networks {
		if len(network.made) == 0 && name != state.ManualNetwork {
			network.lock.Unlock()
		}
	}
	return g, nil
}

// addMember opens the maps of one member. One that is only built again has what it
// runs with, whatever has become of the network's maps and of pins that are others'.
func (g *Replacements) addMember(ctx context.Context, n *state.Node, lock *pin.Locked, running *record.State, w *resolve.Member, flipsFrags bool) error {
	keep, err := kept(lock, running, w)
	if err != nil {
		return err
	}
	g.ByMember[w.Record.Name] = keep
	others := make(map[string]bool)
	for name := range w.Program.Spec.Maps {
		if w.Rebuilt && keep[name] != nil {
			continue
		}
		m, err := g.open(ctx, n, w, name)
		if err != nil {
			return fmt.Errorf("map %q: %w", name, err)
		}
		if m != nil {
			others[name] = !isSame(keep[name], m)
			keep[name].Close()
			keep[name] = m
		}
	}
	dropRedirects(w, keep, others, flipsFrags)
	return nil
}

// open returns nil for a map that is the chain's own.
func (g *Replacements) open(ctx context.Context, n *state.Node, w *resolve.Member, name string) (*ebpf.Map, error) {
	if path := w.Record.Maps[name].Pinned; path != "" {
		return openPinned(path, w.Program.Spec.Maps[name])
	}
	if w.Scope(name) == config.ScopeNode {
		return g.nodeMap(ctx, n, w, name)
	}
	return nil, nil
}

// nodeMapName is the name of a node-scoped map in its network's folder. A map
// that its object declares LIBBPF_PIN_BY_NAME is shared by that name between all
// programs, as libbpf has it; any other belongs to one member.
func nodeMapName(w *resolve.Member, name string) string {
	if w.Program.PinnedByName(name) {
		return name
	}
	return w.Record.Name + "." + name
}

// nodeMap opens a network's map, or makes it. Entries are meant for a map that is
// there already too, so that a changed configuration reaches it; those of a member
// that is only built again are older than what may be in the map by now.
func (g *Replacements) nodeMap(ctx context.Context, n *state.Node, w *resolve.Member, name string) (*ebpf.Map, error) {
	spec, shared := w.Program.Spec.Maps[name], nodeMapName(w, name)
	if holdsMaps(spec) {
		return nil, fmt.Errorf("%w: its object fills it with maps, which can only be the chain's own; give it scope pod", object.ErrUnusable)
	}
	network, err := g.network(ctx, n, state.MapsNetwork(w.Record.Owner))
	if err != nil {
		return nil, err
	}
	m, err := network.lock.Open(shared)
	if errors.Is(err, fs.ErrNotExist) {
		return network.makeMap(shared, spec)
	}
	if err != nil {
		return nil, err
	}
	if err := spec.Compatible(m); err != nil {
		m.Close()
		return nil, fmt.Errorf("%w: the network's map %q has another shape: %w", object.ErrUnusable, shared, err)
	}
	if len(spec.Contents) > 0 && !w.Rebuilt {
		g.updates = append(g.updates, pendingUpdate{shared, m, spec.Contents})
	}
	return m, nil
}

// holdsMaps tells whether the object puts inner maps into a map of maps: their
// names stand in its contents.
func holdsMaps(spec *ebpf.MapSpec) bool {
	return slices.ContainsFunc(spec.Contents, func(kv ebpf.MapKV) bool {
		_, inner := kv.Value.(string)
		return inner
	})
}

// network locks a network's maps, once a plan.
func (g *Replacements) network(ctx context.Context, n *state.Node, name string) (*networkMaps, error) {
	if network := g.networks[name]; network != nil {
		return network, nil
	}
	lock, err := n.BPFFS.LockNode(ctx, name)
	if err != nil {
		return nil, err
	}
	g.networks[name] = &networkMaps{lock: lock}
	return g.networks[name], nil
}

func (n *networkMaps) makeMap(name string, spec *ebpf.MapSpec) (*ebpf.Map, error) {
	m, err := ebpf.NewMap(spec)
	if err != nil {
		return nil, fmt.Errorf("make the network's map %q: %w", name, bpfspec.RefusedMap(err))
	}
	if err := n.lock.Pin(name, m); err != nil {
		m.Close()
		return nil, err
	}
	n.made = append(n.made, name)
	return m, nil
}

// Update puts configured entries into maps that were there already. It comes when the
// chain is known to load. A death on the way leaves some of them, which the next
// attachment of the configuration completes.
func (g *Replacements) Update() error {
	for _, f := range g.updates {
		for _, kv := range f.contents {
			if err := f.into.Put(kv.Key, kv.Value); err != nil {
				return fmt.Errorf("put an entry into the network's map %q: %w", f.name, err)
			}
		}
	}
	return nil
}

// Undo unpins what was made for a chain that did not come into being. Nobody else
// can have opened it: the network's lock is still held.
func (g *Replacements) Undo() error {
	var errs []error
	for _, network := range g.networks {
		for _, name := range network.made {
			errs = append(errs, network.lock.Unpin(name))
		}
	}
	return errors.Join(errs...)
}

// Keep has the maps stay that were made: the chain that needs them runs.
func (g *Replacements) Keep() {
	for _, network := range g.networks {
		network.made = nil
	}
}

// Close closes the maps and gives the networks' locks back.
func (g *Replacements) Close() {
	for _, opened := range g.ByMember {
		state.CloseMaps(opened)
	}
	for _, network := range g.networks {
		network.lock.Unlock()
	}
}
