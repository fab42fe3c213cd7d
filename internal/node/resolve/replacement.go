// SPDX-License-Identifier: Apache-2.0

package resolve

import (
	"encoding/json"
	"maps"

	"github.com/xdp-chain/xdp-chain/internal/catalog"
	"github.com/xdp-chain/xdp-chain/internal/config"
	"github.com/xdp-chain/xdp-chain/internal/record"
	"github.com/xdp-chain/xdp-chain/pkg/object"
)

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
