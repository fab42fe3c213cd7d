// SPDX-License-Identifier: Apache-2.0

package resolve

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/xdp-chain/xdp-chain/internal/catalog"
	"github.com/xdp-chain/xdp-chain/internal/config"
	"github.com/xdp-chain/xdp-chain/internal/record"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
	"github.com/xdp-chain/xdp-chain/pkg/object"
)

// Resolver turns programs into members. It reads and parses each object once,
// however many members come from it.
type Resolver struct {
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

// NewResolver looks names up in a catalog; a nil one has the built-in programs.
func NewResolver(c *catalog.Catalog) *Resolver {
	return &Resolver{catalog: c, opened: make(map[string]*object.Object)}
}

// ReadAhead reads and parses the programs' objects, for [Resolver.Sides] to find. What goes
// wrong goes wrong there again, and is told there.
func (r *Resolver) ReadAhead(programs []config.Program) {
	for _, p := range programs {
		_, _ = r.source(&p)
	}
}

// Sides resolves the programs of each side, before anything is changed. What is not known of
// the pod by then, placeholders cannot stand for.
func (r *Resolver) Sides(a *Attachment) (map[config.Side][]Member, error) {
	sides := a.Sides()
	wants := make(map[config.Side][]Member, len(sides))
	for side, programs := range sides {
		list, err := r.members(programs, a.Owner, a.Pod)
		if err != nil {
			return nil, err
		}
		if err := CheckOrder(list); err != nil {
			return nil, fmt.Errorf("side %s: %w", side, err)
		}
		wants[side] = list
	}
	return wants, nil
}

// members resolves each program: the object it comes from, its place in the
// chain, and the values its globals and map entries get for this pod.
func (r *Resolver) members(programs []config.Program, owner record.Owner, pod object.Pod) ([]Member, error) {
	list := make([]Member, 0, len(programs))
	for i := range programs {
		w, err := r.Member(programs[i], owner, pod)
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

// Member resolves one program. Errors do not name it.
func (r *Resolver) Member(p config.Program, owner record.Owner, pod object.Pod) (Member, error) {
	if err := p.Check(); err != nil {
		return Member{}, err
	}
	from, err := r.source(&p)
	if err != nil {
		return Member{}, err
	}
	w := Member{Object: from.object, CatalogFile: from.entry.File}
	if err := w.describe(&p, &from, owner, pod, r.final); err != nil {
		return Member{}, from.blame(err)
	}
	return w, checkBand(&p, w.Record.Member)
}

// provenance is where a program comes from.
type provenance struct {
	object *object.Object
	// entry is the catalog's; the zero entry for a program that a configuration gives
	// an object of its own.
	entry catalog.Entry
}

// defaults are what the entry says of the program's place in a chain.
func (s *provenance) defaults() chain.RunConfig {
	return chain.RunConfig{Priority: s.entry.Priority, ProceedOn: s.entry.ProceedOn}
}

// origin tells people where the program comes from.
func (s *provenance) origin() string {
	if s.entry.File == "" {
		return s.object.Origin
	}
	return s.object.Origin + ", by " + s.entry.File
}

// blame says which catalog file a program that there is an error about comes from.
func (s *provenance) blame(err error) error {
	if err == nil || s.entry.File == "" {
		return err
	}
	return fmt.Errorf("from catalog file %s: %w", s.entry.File, err)
}

// source finds the object of a program and, where it comes from the catalog,
// fills in what the entry gives: function and globals in p, the rest as returned.
func (r *Resolver) source(p *config.Program) (provenance, error) {
	if p.Object != "" {
		obj, err := r.open(p.Object)
		return provenance{object: obj}, err
	}
	entry, err := r.catalog.Entry(p.Name)
	if err != nil {
		return provenance{}, err
	}
	if err := entry.CheckMaps(p.Maps); err != nil {
		return provenance{}, err
	}
	if p.Function == "" {
		p.Function = entry.Function
	}
	globals := maps.Clone(entry.Globals)
	if globals == nil {
		globals = make(map[string]json.RawMessage, len(p.Globals))
	}
	maps.Copy(globals, p.Globals)
	p.Globals = globals
	s := provenance{entry: entry}
	if entry.Object != "" {
		s.object, err = r.open(entry.Object)
	} else {
		s.object, err = r.once("builtin:"+entry.Name, func() (*object.Object, error) {
			return object.New(entry.Origin, entry.Content)
		})
	}
	return s, s.blame(err)
}

func (r *Resolver) open(path string) (*object.Object, error) {
	return r.once(path, func() (*object.Object, error) { return object.Open(path) })
}

func (r *Resolver) once(key string, open func() (*object.Object, error)) (*object.Object, error) {
	if obj, ok := r.opened[key]; ok {
		return obj, nil
	}
	obj, err := open()
	if err != nil {
		return nil, err
	}
	r.opened[key] = obj
	return obj, nil
}

// A program with a band comes from a pod's annotation. What the annotation itself says
// was judged when it was read; what is left is judged here, since it takes the object.

// checkSettable returns nil if every variable that pods may set can hold all that they
// may set it to, otherwise an error that satisfies errors.Is(err, [object.ErrUnusable]).
// A bound that cannot be encoded would bound nothing.
func checkSettable(entry *catalog.Entry, program *object.Program) error {
	for _, global := range slices.Sorted(maps.Keys(entry.Settable)) {
		for _, value := range entry.Settable[global].Extremes() {
			value, err := ExamplePod.Expand(value)
			if err == nil {
				err = program.CheckGlobal(global, value)
			}
			if err != nil {
				return fmt.Errorf("settable: %w", err)
			}
		}
	}
	return nil
}

// checkBand returns nil if the priority that a program has got lies in its band,
// whoever gave it.
func checkBand(p *config.Program, m chain.Member) error {
	err := p.Band.Admit(m.Priority)
	if err != nil && p.Priority == nil {
		return fmt.Errorf("%w; the annotation gives none, and this is the one that the program has by itself", err)
	}
	return err
}

// CheckOrder returns nil unless a member that a pod asked for stands in front of one
// that it did not ask for and may keep packets from it: let them by, or answer them.
// What it drops reaches nobody, so it may.
func CheckOrder(members []Member) error {
	for _, guest := range members {
		if !guest.Record.FromAnnotation {
			continue
		}
		for _, own := range members {
			if own.Record.FromAnnotation {
				continue
			}
			if own.Record.Name == guest.Record.Name { // of another network's, or of the command line's
				return fmt.Errorf("%w: program %q, which the pod's annotation names, is in the chain already; a pod cannot change it", config.ErrPolicy, guest.Record.Name)
			}
			// An operator who puts a member behind what a pod asked for has seen that.
			if own.Record.Owner.Kind == record.OwnerCLI || chain.Compare(guest.Record.Member, own.Record.Member) > 0 {
				continue
			}
			fault := ""
			switch {
			case guest.Record.Transmits:
				fault = "sends packets itself"
			case !guest.Record.ProceedOn.Has(chain.Pass):
				fault = "does not proceed on pass"
			default:
				continue
			}
			return fmt.Errorf("%w: program %q (priority %d), which the pod's annotation names, would stand before %q (priority %d), and it %s: packets would get by; it can only have a place behind",
				config.ErrPolicy, guest.Record.Name, guest.Record.Priority, own.Record.Name, own.Record.Priority, fault)
		}
	}
	return nil
}

// SplitByOrigin parts a network's own members from those that the pod asked for.
func SplitByOrigin(members []Member) (own, fromAnnotation []Member) {
	for _, m := range members {
		if m.Record.FromAnnotation {
			fromAnnotation = append(fromAnnotation, m)
		} else {
			own = append(own, m)
		}
	}
	return own, fromAnnotation
}
