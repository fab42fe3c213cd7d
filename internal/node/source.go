// SPDX-License-Identifier: Apache-2.0

package node

import (
	"encoding/json"
	"fmt"
	"maps"

	"github.com/xdp-chain/xdp-chain/internal/catalog"
	"github.com/xdp-chain/xdp-chain/internal/config"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
	"github.com/xdp-chain/xdp-chain/pkg/object"
)

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
func (r *resolver) source(p *config.Program) (provenance, error) {
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

func (r *resolver) open(path string) (*object.Object, error) {
	return r.once(path, func() (*object.Object, error) { return object.Open(path) })
}

func (r *resolver) once(key string, open func() (*object.Object, error)) (*object.Object, error) {
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
