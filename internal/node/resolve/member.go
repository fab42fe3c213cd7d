// SPDX-License-Identifier: Apache-2.0

package resolve

import (
	"fmt"

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
