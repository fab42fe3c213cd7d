// SPDX-License-Identifier: Apache-2.0

package inspect

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/cilium/ebpf"

	"github.com/xdp-chain/xdp-chain/internal/config"
	"github.com/xdp-chain/xdp-chain/internal/node/state"
	"github.com/xdp-chain/xdp-chain/internal/record"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
)

// MemberMap is a map that a member uses.
type MemberMap struct {
	// Name is the map's in the member's object.
	Name string `json:"name"`
	// ID is the kernel's; 0 where the member's pin of it is missing.
	ID         uint32 `json:"id,omitempty"`
	Type       string `json:"type,omitempty"`
	KeySize    uint32 `json:"keySize,omitempty"`   // bytes
	ValueSize  uint32 `json:"valueSize,omitempty"` // bytes
	MaxEntries uint32 `json:"maxEntries,omitempty"`
	// Scope says who shares it: "pod" is the chain's own, "node" its network's, "pinned"
	// that of a pin that the configuration names.
	Scope string `json:"scope"`
	// Owner is with whom it goes: "member 7", "network podnet", "members loaded by hand",
	// or the path of that pin.
	Owner string `json:"owner"`
	// Pins are where it is pinned on bpffs: for the member, and where it is shared by.
	Pins []string `json:"pins"`
	// Users are the other members on the node that use the very same map.
	Users []MapUser `json:"users,omitempty"`
}

// MapUser is a member that uses another one's map.
type MapUser struct {
	ID        record.ID    `json:"id"`
	Name      string       `json:"name"`
	Chain     chain.Key    `json:"chain"`
	Interface string       `json:"interface"`
	Owner     record.Owner `json:"owner"`
}

const scopePinned = "pinned"

// memberMaps reads about the maps of a member of the chain that runs, all but who else
// uses them.
func memberMaps(n *state.Node, rec *record.Record, m *record.Member) ([]MemberMap, error) {
	list := []MemberMap{}
	for _, name := range m.Pins {
		one, err := memberMap(n, rec, m, name)
		if err != nil {
			return nil, err
		}
		list = append(list, one)
	}
	return list, nil
}

func memberMap(n *state.Node, rec *record.Record, m *record.Member, name string) (MemberMap, error) {
	one := MemberMap{Name: name, Scope: config.ScopePod.String(), Owner: fmt.Sprintf("member %d", m.ID)}
	path, err := n.BPFFS.MapPath(rec.Key, m.Name, name)
	if err != nil {
		return one, err
	}
	one.Pins = append(one.Pins, path)
	opened, err := n.BPFFS.OpenMap(rec.Key, rec.State.Generation, m.Name, name)
	if errors.Is(err, fs.ErrNotExist) {
		one.Pins = nil
		return one, nil
	}
	if err != nil {
		return one, err
	}
	defer opened.Close()
	info, err := opened.Info()
	if err != nil {
		return one, fmt.Errorf("read about map %q of member %q: %w", name, m.Name, err)
	}
	id, _ := info.ID()
	one.ID, one.Type = uint32(id), info.Type.String()
	one.KeySize, one.ValueSize, one.MaxEntries = info.KeySize, info.ValueSize, info.MaxEntries
	return one, findOwner(n, &one, m)
}

// findOwner fills in with whom a map goes, where that is not the member. Whether it is its
// network's is for the pins to tell: the object may ask for that, too.
func findOwner(n *state.Node, one *MemberMap, m *record.Member) error {
	if path := m.Maps[one.Name].Pinned; path != "" {
		one.Scope, one.Owner, one.Pins = scopePinned, path, append(one.Pins, path)
		return nil
	}
	network := state.MapsNetwork(m.Owner)
	if network == "" {
		return nil
	}
	for _, name := range []string{one.Name, m.Name + "." + one.Name} { // see nodeMapName
		path, err := n.BPFFS.NodeMapPath(network, name)
		if err != nil {
			return err
		}
		if id, err := idPinnedAt(path); err != nil || id != one.ID {
			if err != nil {
				return err
			}
			continue
		}
		one.Scope, one.Owner, one.Pins = config.ScopeNode.String(), "network "+network, append(one.Pins, path)
		if network == state.ManualNetwork {
			one.Owner = "members loaded by hand"
		}
	}
	return nil
}

// idPinnedAt returns the id of the map pinned at a path, 0 where there is none.
func idPinnedAt(path string) (uint32, error) {
	m, err := ebpf.LoadPinnedMap(path, &ebpf.LoadPinOptions{ReadOnly: true})
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("open the map pinned at %s: %w", path, err)
	}
	defer m.Close()
	info, err := m.Info()
	if err != nil {
		return 0, fmt.Errorf("read about the map pinned at %s: %w", path, err)
	}
	id, _ := info.ID()
	return uint32(id), nil
}

// findUsers fills in who else uses the maps of a member. Of maps that are its own that can
// only be who was told the path of their pin, so that few pins have to be opened; of others
// it may be anybody.
func findUsers(n *state.Node, list []MemberMap, of record.ID) error {
	users := make(map[uint32]*MemberMap, len(list))
	for i := range list {
		if list[i].ID != 0 {
			users[list[i].ID] = &list[i]
		}
	}
	own := !slices.ContainsFunc(list, func(m MemberMap) bool { return m.Scope != config.ScopePod.String() })
	records, err := n.Recorded()
	errs := []error{err}
	for _, rec := range records {
		for i := range rec.State.Members {
			if m := &rec.State.Members[i]; m.ID != of && len(users) > 0 {
				errs = append(errs, addUser(n, users, rec, m, own))
			}
		}
	}
	return errors.Join(errs...)
}

// addUser notes a member that uses one of the maps. given looks at none but the maps that
// it was given by their paths.
func addUser(n *state.Node, users map[uint32]*MemberMap, rec *record.Record, m *record.Member, given bool) error {
	for _, name := range m.Pins {
		if given && m.Maps[name].Pinned == "" {
			continue
		}
		path, err := n.BPFFS.MapPath(rec.Key, m.Name, name)
		if err != nil {
			return err
		}
		id, err := idPinnedAt(path)
		if err != nil {
			return err
		}
		if used := users[id]; used != nil {
			used.Users = append(used.Users, MapUser{ID: m.ID, Name: m.Name, Chain: rec.Key, Interface: rec.Interface, Owner: m.Owner})
		}
	}
	return nil
}
