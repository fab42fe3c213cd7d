// SPDX-License-Identifier: Apache-2.0

package node

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/xdp-chain/xdp-chain/internal/catalog"
	"github.com/xdp-chain/xdp-chain/internal/config"
	"github.com/xdp-chain/xdp-chain/internal/record"
	"github.com/xdp-chain/xdp-chain/pkg/object"
)

// wanted is a member that is to be in a chain: what the record will say of it,
// and its program, ready to be linked.
type wanted struct {
	record.Member
	program *object.Program
	object  *object.Object
	// file is the catalog file that gives it, empty where none does.
	file string
	// asked says that the pod's annotation asks for it.
	asked bool
	// keepsShape says that the member runs another program than before and keeps the maps
	// that are alike in both.
	keepsShape bool
	// rebuilt says that the member is in the chain already, and that nobody asked
	// for a change of it.
	rebuilt bool
}

// resolver turns programs into members. It reads and parses each object once,
// however many members come from it.
type resolver struct {
	catalog *catalog.Catalog
	opened  map[string]*object.Object // by path, or by built-in name with a leading "builtin:"
	// final are the globals and the maps whose settings come from a record, with nothing
	// left to expand: what looks like a placeholder there was written with "$${".
	final settings
}

// settings are what is set for a program.
type settings struct {
	globals map[string]json.RawMessage
	maps    map[string]config.MapSettings
}

func newResolver(c *catalog.Catalog) *resolver {
	return &resolver{catalog: c, opened: make(map[string]*object.Object)}
}

// readAhead reads and parses the programs' objects, for resolve to find. What goes
// wrong goes wrong there again, and is told there.
func (r *resolver) readAhead(programs []config.Program) {
	for _, p := range programs {
		_, _ = r.source(&p)
	}
}

// resolve settles each program: the object it comes from, its place in the
// chain, and the values its globals and map entries get for this pod.
func (r *resolver) resolve(programs []config.Program, owner record.Owner, pod object.Pod) ([]wanted, error) {
	list := make([]wanted, 0, len(programs))
	for i := range programs {
		w, err := r.one(programs[i], owner, pod)
		if err != nil {
			return nil, nameProgram(programs[i].Name, err)
		}
		list = append(list, w)
	}
	return list, nil
}

// nameProgram says which program an error is about, where the catalog has not done so.
func nameProgram(name string, err error) error {
	if errors.Is(err, catalog.ErrUnknown) || errors.Is(err, catalog.ErrBroken) {
		return err
	}
	return fmt.Errorf("program %q: %w", name, err)
}

func (r *resolver) one(p config.Program, owner record.Owner, pod object.Pod) (wanted, error) {
	if err := p.Check(); err != nil {
		return wanted{}, err
	}
	from, err := r.source(&p)
	if err != nil {
		return wanted{}, err
	}
	w := wanted{object: from.object, file: from.entry.File, asked: p.Band != nil}
	if err := w.settle(&p, &from, owner, pod, r.final); err != nil {
		return wanted{}, from.blame(err)
	}
	return w, checkBand(&p, w.Member.Member)
}

// settle fills in the program and what the record says of it.
func (w *wanted) settle(p *config.Program, from *provenance, owner record.Owner, pod object.Pod, final settings) (err error) {
	if w.program, err = from.object.Program(p.Function); err != nil {
		return err
	}
	if w.asked {
		if err := checkSettable(&from.entry, w.program); err != nil {
			return err
		}
	}
	w.Member = record.Member{
		Member: p.WithDefaults(w.program.Function, from.defaults(), w.program.RunConfig),
		Owner:  owner, Object: from.object.Digest, Origin: from.origin(), Transmits: from.entry.Transmits, Asked: w.asked,
	}
	if w.Globals, err = expandGlobals(p.Globals, pod, final.globals); err != nil {
		return err
	}
	if w.Maps, err = expandMaps(p.Maps, pod, final.maps); err != nil {
		return err
	}
	return w.configure()
}

// rebuild makes a member of its record and the store alone.
func (n *Node) rebuild(m record.Member) (wanted, error) {
	obj, err := n.Store.Get(m.Object)
	if err != nil {
		return wanted{}, fmt.Errorf("program %q: %w", m.Name, err)
	}
	program, err := obj.Program(m.Function)
	if err != nil {
		return wanted{}, fmt.Errorf("program %q: %w", m.Name, err)
	}
	w := wanted{Member: m, program: program, object: obj, asked: m.Asked, rebuilt: true}
	return w, w.configure()
}

// configure gives the program the globals and the map settings of its record.
func (w *wanted) configure() error {
	if err := w.program.ConfigureMaps(w.mapSettings()); err != nil {
		return err
	}
	return w.program.SetGlobals(w.Globals)
}

// mapSettings are the settings of the record as package object takes them.
func (w *wanted) mapSettings() map[string]object.MapSettings {
	settings := make(map[string]object.MapSettings, len(w.Maps))
	for name, s := range w.Maps {
		entries := make([]object.MapEntry, len(s.Entries))
		for i, e := range s.Entries {
			entries[i] = object.MapEntry(e)
		}
		settings[name] = object.MapSettings{MaxEntries: s.MaxEntries, Entries: entries, Shared: w.scope(name) == config.ScopeNode}
	}
	return settings
}

// scope returns who shares a map of the member: what its settings say, else the node for
// a map declared LIBBPF_PIN_BY_NAME, else the pod.
func (w *wanted) scope(mapName string) config.Scope {
	switch scope := w.Maps[mapName].Scope; {
	case scope != config.ScopeDefault:
		return scope
	case w.program.PinnedByName(mapName):
		return config.ScopeNode
	default:
		return config.ScopePod
	}
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
