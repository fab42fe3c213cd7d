// SPDX-License-Identifier: Apache-2.0

package config

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"reflect"
	"slices"

	"github.com/xdp-chain/xdp-chain/internal/enum"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
)

// Program is one entry of a program list: what somebody wants to have in a
// chain. Pointers that are nil leave the choice to the catalog, the object or
// the default.
type Program struct {
	// Name is the member's name, unique on its interface.
	Name string `json:"name"`
	// Object is the absolute path of a BPF ELF object. Empty: the catalog entry
	// of this name.
	Object string `json:"object,omitempty"`
	// Function is the program to take where the object holds several.
	Function string `json:"function,omitempty"`
	// Priority orders the chain, 0 first, at most [chain.MaxPriority].
	Priority *int `json:"priority,omitempty"`
	// ProceedOn holds the verdicts after which the next member runs.
	ProceedOn *chain.ActionSet `json:"proceedOn,omitempty"`
	// Side is the end of the veth pair; nil is the side of the network.
	Side *Side `json:"side,omitempty"`
	// Globals sets the object's global variables by name; values are JSON as
	// the configuration gave them, placeholders such as "${pod.ip}" included.
	Globals map[string]json.RawMessage `json:"globals,omitempty"`
	// Maps changes the object's maps, by map name.
	Maps map[string]MapSettings `json:"maps,omitempty"`
	// Band, where it is set, is where the program's priority must lie, whoever gave
	// it. Programs of pods' annotations have one.
	Band *Band `json:"-"`
}

// Side says on which end of a pod's veth pair a chain sits. The zero value is PodSide.
type Side uint8

// The values of Side.
const (
	// PodSide is the pod's interface (CNI_IFNAME): the chain sees what goes to the pod.
	PodSide Side = iota
	// HostSide is its peer on the host: the chain sees what the pod sends.
	HostSide
)

var sideNames = enum.Names[Side]{What: "side", Invalid: chain.ErrInvalid, List: []string{"pod", "host"}}

// MapSettings says how a member's map is to be made.
type MapSettings struct {
	// Scope says who shares the map.
	Scope Scope `json:"scope,omitempty"`
	// Pinned is the absolute path of a map on bpffs to use in its place.
	Pinned string `json:"pinned,omitempty"`
	// MaxEntries changes the map's size; 0 keeps the object's.
	MaxEntries uint32 `json:"maxEntries,omitempty"`
	// Entries are put into the map before the program runs.
	Entries []MapEntry `json:"entries,omitempty"`
}

// Scope says which pods share a member's map. The zero value is ScopeDefault.
type Scope uint8

// The values of Scope.
const (
	// ScopeDefault lets the object decide: node for maps declared LIBBPF_PIN_BY_NAME, otherwise pod.
	ScopeDefault Scope = iota
	// ScopePod is one map for each chain.
	ScopePod
	// ScopeNode is one map for all pods of a network.
	ScopeNode
)

var scopeNames = enum.Names[Scope]{What: "scope", Invalid: chain.ErrInvalid, List: []string{"", "pod", "node"}}

// Lists are the types that decode themselves from lists, for package strict to explain
// such lists item by item.
var Lists = map[reflect.Type]reflect.Type{
	reflect.TypeFor[chain.ActionSet](): reflect.TypeFor[[]chain.Action](),
}

// MapEntry is one key and value, JSON to be encoded by the map's BTF types.
type MapEntry struct {
	Key   json.RawMessage `json:"key"`
	Value json.RawMessage `json:"value"`
}

// WithDefaults makes a member of a program: its own priority and proceedOn first, then
// those of the given sources in turn, then the defaults.
func (p *Program) WithDefaults(function string, sources ...chain.RunConfig) chain.Member {
	m := chain.Member{Name: p.Name, Function: function, Priority: chain.DefaultPriority, ProceedOn: chain.DefaultProceedOn}
	sources = append([]chain.RunConfig{{Priority: p.Priority, ProceedOn: p.ProceedOn}}, sources...)
	for _, s := range slices.Backward(sources) {
		if s.Priority != nil {
			m.Priority = *s.Priority
		}
		if s.ProceedOn != nil {
			m.ProceedOn = *s.ProceedOn
		}
	}
	return m
}

// Check returns nil for a program whose fields are in range, otherwise an error
// that names the field and satisfies errors.Is(err, [chain.ErrInvalid]). It looks at
// the fields alone, not at files or maps.
func (p *Program) Check() error {
	if err := chain.CheckName(p.Name); err != nil {
		return err
	}
	if p.Object != "" && !filepath.IsAbs(p.Object) {
		return fmt.Errorf("%w: object %q of program %q; give an absolute path", chain.ErrInvalid, p.Object, p.Name)
	}
	if p.Priority != nil && (*p.Priority < 0 || *p.Priority > chain.MaxPriority) {
		return fmt.Errorf("%w: priority %d of program %q; it goes from 0 (first) to %d", chain.ErrInvalid, *p.Priority, p.Name, chain.MaxPriority)
	}
	for name, m := range p.Maps {
		if err := m.check(); err != nil {
			return fmt.Errorf("map %q of program %q: %w", name, p.Name, err)
		}
	}
	return nil
}

func (m *MapSettings) check() error {
	if m.Pinned == "" {
		return nil
	}
	switch {
	case !filepath.IsAbs(m.Pinned):
		return fmt.Errorf("%w: pinned %q; give an absolute path on bpffs", chain.ErrInvalid, m.Pinned)
	case m.Scope != ScopeDefault:
		return fmt.Errorf("%w: scope %s and pinned exclude each other; the pinned map is shared by whoever opens it", chain.ErrInvalid, m.Scope)
	case m.MaxEntries != 0:
		return fmt.Errorf("%w: maxEntries and pinned exclude each other; the pinned map has its size", chain.ErrInvalid)
	case len(m.Entries) != 0:
		return fmt.Errorf("%w: entries and pinned exclude each other; whoever made the pinned map fills it", chain.ErrInvalid)
	}
	return nil
}
