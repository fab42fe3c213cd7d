// SPDX-License-Identifier: Apache-2.0

package node

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/cilium/ebpf"

	"github.com/xdp-chain/xdp-chain/internal/config"
	"github.com/xdp-chain/xdp-chain/internal/record"
	"github.com/xdp-chain/xdp-chain/pkg/dispatcher"
	"github.com/xdp-chain/xdp-chain/pkg/object"
	"github.com/xdp-chain/xdp-chain/pkg/pin"
)

// givenMaps are the maps that members of a plan do not get made for them: those
// that they keep, those of scope node, and those that somebody pinned.
type givenMaps struct {
	byMember map[string]map[string]*ebpf.Map
	networks map[string]*networkMaps
	// fills are the entries for maps that were there already.
	fills []fill
}

// networkMaps is a network with node-scoped maps of the plan. Its lock is held
// while they are looked up, and where some had to be made until it is known whether
// the chain that needs them comes into being.
type networkMaps struct {
	lock *pin.NodeLocked
	made []string
}

type fill struct {
	name     string
	into     *ebpf.Map
	contents []ebpf.MapKV
}

// givenMaps opens the maps, making the node-scoped ones that are not there yet. A
// death after one was pinned leaves it to the network, whose last attachment takes
// all of them down.
func (t *tenure) givenMaps(ctx context.Context, p plan) (*givenMaps, error) {
	g := &givenMaps{byMember: make(map[string]map[string]*ebpf.Map), networks: make(map[string]*networkMaps)}
	// Owners of several networks may share the chain. Whoever needs the locks of
	// several takes them in the order of their names.
	members := slices.Clone(p.members)
	slices.SortStableFunc(members, func(a, b wanted) int { return cmp.Compare(mapsNetwork(a.Owner), mapsNetwork(b.Owner)) })
	for i := range members {
		if err := g.addMember(ctx, t, &members[i], t.flipsFrags(&p)); err != nil {
			err = fmt.Errorf("program %q: %w", members[i].Name, err)
			err = errors.Join(err, g.undo())
			g.close()
			return nil, err
		}
	}
	// Pods that find all of the network's maps need not wait for each other.
	for name, network := range g.networks {
		if len(network.made) == 0 && name != handNetwork {
			network.lock.Unlock()
		}
	}
	return g, nil
}

// handNetwork is what stands for a network where members that were put into chains by
// hand share maps. No network of CNI can have the name.
const handNetwork = "_cli"

// mapsNetwork is the network among whose members an owner's share maps.
func mapsNetwork(owner record.Owner) string {
	if owner.Kind == record.OwnerCLI {
		return handNetwork
	}
	return owner.Network
}

// addMember opens the maps of one member. One that is only built again has what it
// runs with, whatever has become of the network's maps and of pins that are others'.
func (g *givenMaps) addMember(ctx context.Context, t *tenure, w *wanted, flipsFrags bool) error {
	kept, err := t.keptMaps(w)
	if err != nil {
		return err
	}
	g.byMember[w.Name] = kept
	others := make(map[string]bool)
	for name := range w.program.Spec.Maps {
		if w.rebuilt && kept[name] != nil {
			continue
		}
		m, err := g.open(ctx, t.node, w, name)
		if err != nil {
			return fmt.Errorf("map %q: %w", name, err)
		}
		if m != nil {
			others[name] = !isSame(kept[name], m)
			kept[name].Close()
			kept[name] = m
		}
	}
	w.dropRedirects(kept, others, flipsFrags)
	return nil
}

// open returns nil for a map that is the chain's own.
func (g *givenMaps) open(ctx context.Context, n *Node, w *wanted, name string) (*ebpf.Map, error) {
	if path := w.Maps[name].Pinned; path != "" {
		return openPinned(path, w.program.Spec.Maps[name])
	}
	if w.scope(name) == config.ScopeNode {
		return g.nodeMap(ctx, n, w, name)
	}
	return nil, nil
}

// nodeMapName is the name of a node-scoped map in its network's folder. A map
// that its object declares LIBBPF_PIN_BY_NAME is shared by that name between all
// programs, as libbpf has it; any other belongs to one member.
func nodeMapName(w *wanted, name string) string {
	if w.program.PinnedByName(name) {
		return name
	}
	return w.Name + "." + name
}

// nodeMap opens a network's map, or makes it. Entries are meant for a map that is
// there already too, so that a changed configuration reaches it; those of a member
// that is only built again are older than what may be in the map by now.
func (g *givenMaps) nodeMap(ctx context.Context, n *Node, w *wanted, name string) (*ebpf.Map, error) {
	spec, shared := w.program.Spec.Maps[name], nodeMapName(w, name)
	if holdsMaps(spec) {
		return nil, fmt.Errorf("%w: its object fills it with maps, which can only be the chain's own; give it scope pod", object.ErrUnusable)
	}
	network, err := g.network(ctx, n, mapsNetwork(w.Owner))
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
	if len(spec.Contents) > 0 && !w.rebuilt {
		g.fills = append(g.fills, fill{shared, m, spec.Contents})
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
func (g *givenMaps) network(ctx context.Context, n *Node, name string) (*networkMaps, error) {
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
		return nil, fmt.Errorf("make the network's map %q: %w", name, dispatcher.RefusedMap(err))
	}
	if err := n.lock.Pin(name, m); err != nil {
		m.Close()
		return nil, err
	}
	n.made = append(n.made, name)
	return m, nil
}

// fill puts configured entries into maps that were there already. It comes when the
// chain is known to load. A death on the way leaves some of them, which the next
// attachment of the configuration completes.
func (g *givenMaps) fill() error {
	for _, f := range g.fills {
		for _, kv := range f.contents {
			if err := f.into.Put(kv.Key, kv.Value); err != nil {
				return fmt.Errorf("put an entry into the network's map %q: %w", f.name, err)
			}
		}
	}
	return nil
}

// undo unpins what was made for a chain that did not come into being. Nobody else
// can have opened it: the network's lock is still held.
func (g *givenMaps) undo() error {
	var errs []error
	for _, network := range g.networks {
		for _, name := range network.made {
			errs = append(errs, network.lock.Unpin(name))
		}
	}
	return errors.Join(errs...)
}

// keep has the maps stay that were made: the chain that needs them runs.
func (g *givenMaps) keep() {
	for _, network := range g.networks {
		network.made = nil
	}
}

func (g *givenMaps) close() {
	for _, opened := range g.byMember {
		closeMaps(opened)
	}
	for _, network := range g.networks {
		network.lock.Unlock()
	}
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
