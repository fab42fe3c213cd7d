// SPDX-License-Identifier: Apache-2.0

package resolve

import (
	"encoding/json"
	"fmt"
	"maps"

	"github.com/xdp-chain/xdp-chain/internal/catalog"
	"github.com/xdp-chain/xdp-chain/internal/config"
	"github.com/xdp-chain/xdp-chain/internal/record"
	"github.com/xdp-chain/xdp-chain/internal/store"
	"github.com/xdp-chain/xdp-chain/pkg/object"
)

// Member is a member that is to be in a chain: what the record will say of it,
// and its program, ready for a dispatcher.
type Member struct {
	Record  record.Member
	Program *object.Program
	Object  *object.Object
	// CatalogFile is the catalog file that gives it, empty where none does.
	CatalogFile string
	// KeepsMaps says that the member runs another program than before and keeps the maps
	// that are alike in both.
	KeepsMaps bool
	// Rebuilt says that the member is in the chain already, and that nobody asked
	// for a change of it.
	Rebuilt bool
}

// KeepIdentity gives a member that is in the chain already what stays the same for as long as
// it is: id, date and metadata. old is nil for one that is new there.
func (m *Member) KeepIdentity(old *record.Member) {
	if old != nil {
		m.Record.ID, m.Record.Created, m.Record.Metadata = old.ID, old.Created, old.Metadata
	}
}

// describe fills in the program and what the record says of it.
func (m *Member) describe(p *config.Program, from *provenance, owner record.Owner, pod object.Pod, final settings) (err error) {
	if m.Program, err = from.object.Program(p.Function); err != nil {
		return err
	}
	if p.Band != nil {
		if err := checkSettable(&from.entry, m.Program); err != nil {
			return err
		}
	}
	m.Record = record.Member{
		Member: p.WithDefaults(m.Program.Function, from.defaults(), m.Program.RunConfig),
		Owner:  owner, Object: from.object.Digest, Origin: from.origin(), Transmits: from.entry.Transmits, FromAnnotation: p.Band != nil,
	}
	if m.Record.Globals, err = expandGlobals(p.Globals, pod, final.globals); err != nil {
		return err
	}
	if m.Record.Maps, err = expandMaps(p.Maps, pod, final.maps); err != nil {
		return err
	}
	return m.configure()
}

// configure gives the program the globals and the map settings of its record.
func (m *Member) configure() error {
	if err := m.Program.ConfigureMaps(m.mapSettings()); err != nil {
		return err
	}
	return m.Program.SetGlobals(m.Record.Globals)
}

// mapSettings are the settings of the record as package object takes them.
func (m *Member) mapSettings() map[string]object.MapSettings {
	settings := make(map[string]object.MapSettings, len(m.Record.Maps))
	for name, s := range m.Record.Maps {
		entries := make([]object.MapEntry, len(s.Entries))
		for i, e := range s.Entries {
			entries[i] = object.MapEntry(e)
		}
		settings[name] = object.MapSettings{MaxEntries: s.MaxEntries, Entries: entries, Shared: m.Scope(name) == config.ScopeNode}
	}
	return settings
}

// Scope returns who shares a map of the member: what its settings say, else the node for
// a map declared LIBBPF_PIN_BY_NAME, else the pod.
func (m *Member) Scope(mapName string) config.Scope {
	switch scope := m.Record.Maps[mapName].Scope; {
	case scope != config.ScopeDefault:
		return scope
	case m.Program.PinnedByName(mapName):
		return config.ScopeNode
	default:
		return config.ScopePod
	}
}

// SharesMap tells whether a map of the member is not its chain's own.
func (m *Member) SharesMap(name string) bool {
	return m.Record.Maps[name].Pinned != "" || m.Scope(name) == config.ScopeNode
}

// Records are what the record says of the members.
func Records(members []Member) []record.Member {
	list := make([]record.Member, len(members))
	for i, m := range members {
		list[i] = m.Record
	}
	return list
}

// Rebuild makes a member of its record and the store alone.
func Rebuild(objects store.Store, m record.Member) (Member, error) {
	obj, err := objects.Get(m.Object)
	if err != nil {
		return Member{}, fmt.Errorf("program %q: %w", m.Name, err)
	}
	program, err := obj.Program(m.Function)
	if err != nil {
		return Member{}, fmt.Errorf("program %q: %w", m.Name, err)
	}
	member := Member{Record: m, Program: program, Object: obj, Rebuilt: true}
	return member, member.configure()
}

func expandGlobals(globals map[string]json.RawMessage, pod object.Pod, final map[string]json.RawMessage) (map[string]json.RawMessage, error) {
	if len(globals) == 0 {
		return nil, nil
	}
	expanded := make(map[string]json.RawMessage, len(globals))
	for name, value := range globals {
		if v, ok := final[name]; ok {
			expanded[name] = v
			continue
		}
		v, err := pod.Expand(value)
		if err != nil {
			return nil, fmt.Errorf("global %q: %w", name, err)
		}
		expanded[name] = v
	}
	return expanded, nil
}

func expandMaps(maps map[string]config.MapSettings, pod object.Pod, final map[string]config.MapSettings) (map[string]config.MapSettings, error) {
	if len(maps) == 0 {
		return nil, nil
	}
	expanded := make(map[string]config.MapSettings, len(maps))
	for name, s := range maps {
		if s, ok := final[name]; ok {
			expanded[name] = s
			continue
		}
		entries := make([]config.MapEntry, len(s.Entries))
		for i, e := range s.Entries {
			key, err := pod.Expand(e.Key)
			if err != nil {
				return nil, fmt.Errorf("map %q, key of entry %d: %w", name, i, err)
			}
			value, err := pod.Expand(e.Value)
			if err != nil {
				return nil, fmt.Errorf("map %q, value of entry %d: %w", name, i, err)
			}
			entries[i] = config.MapEntry{Key: key, Value: value}
		}
		s.Entries = entries
		expanded[name] = s
	}
	return expanded, nil
}

// Replacement is what a member is to run in the place of what it runs.
type Replacement struct {
	// Object is the absolute path of an object, or Entry the name of a catalog entry.
	Object, Entry string
	Catalog       *catalog.Catalog
	// Function is the program to take where the object holds several; empty is the one
	// that the member runs, if the object has it.
	Function string
	// Globals and Maps are set besides, or in the place of, those that were set for the
	// member. A map for which something is set is made anew.
	Globals map[string]json.RawMessage
	Maps    map[string]config.MapSettings
	// Force allows to replace a member that came with a CNI attachment.
	Force bool
}

// Member makes the member of what it is to run and of what it was.
func (r *Replacement) Member(old *record.Member, pod object.Pod) (*Member, error) {
	p := config.Program{
		Name: old.Name, Object: r.Object, Function: r.Function,
		Priority: &old.Priority, ProceedOn: &old.ProceedOn,
		Globals: over(old.Globals, r.Globals), Maps: over(old.Maps, r.Maps),
	}
	if r.Entry != "" {
		p.Name = r.Entry
	}
	resolver := NewResolver(r.Catalog)
	resolver.final = settings{without(old.Globals, r.Globals), without(old.Maps, r.Maps)}
	if p.Function == "" {
		from, err := resolver.source(&p)
		if err != nil {
			return nil, err
		}
		if _, err := from.object.Program(old.Function); err == nil {
			p.Function = old.Function
		}
	}
	w, err := resolver.Member(p, old.Owner, pod)
	if err != nil {
		return nil, err
	}
	w.Record.Name = old.Name
	w.KeepIdentity(old)
	w.Record.FromAnnotation, w.KeepsMaps = old.FromAnnotation, true
	w.Record.ReplacedManually = old.Owner.Kind != record.OwnerCLI
	return &w, nil
}

// over returns what was set with what is to be set in its place or besides.
func over[V any](was, now map[string]V) map[string]V {
	if len(now) == 0 {
		return was
	}
	all := maps.Clone(was)
	if all == nil {
		all = make(map[string]V, len(now))
	}
	maps.Copy(all, now)
	return all
}

// without returns what was set and stays, since nothing is to be set in its place.
func without[V any](was, now map[string]V) map[string]V {
	stays := maps.Clone(was)
	maps.DeleteFunc(stays, func(name string, _ V) bool { _, again := now[name]; return again })
	return stays
}
