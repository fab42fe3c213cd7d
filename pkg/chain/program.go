// SPDX-License-Identifier: Apache-2.0

package chain

import (
	"encoding/json"
	"fmt"
	"math"
	"path/filepath"
	"strings"
)

const (
	// DefaultPriority is what a member gets that nobody gave a priority.
	DefaultPriority = 50
	// MaxPriority is the largest priority. libxdp's run_prio is an unsigned int
	// that its tools read as an int.
	MaxPriority = math.MaxInt32
	// MaxNameLength is the largest length of a program's name, in bytes.
	MaxNameLength = 63
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
	// Priority orders the chain, 0 first, at most [MaxPriority].
	Priority *int `json:"priority,omitempty"`
	// ProceedOn holds the verdicts after which the next member runs.
	ProceedOn *ActionSet `json:"proceedOn,omitempty"`
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

// MapEntry is one key and value, JSON to be encoded by the map's BTF types.
type MapEntry struct {
	Key   json.RawMessage `json:"key"`
	Value json.RawMessage `json:"value"`
}

// CheckName returns nil for a name that a member may have, otherwise an error
// that satisfies errors.Is(err, [ErrInvalid]).
func CheckName(name string) error {
	switch {
	case name == "":
		return fmt.Errorf("%w: name is empty; every program needs one", ErrInvalid)
	case len(name) > MaxNameLength:
		return fmt.Errorf("%w: name %.20q… has %d bytes, at most %d are allowed", ErrInvalid, name, len(name), MaxNameLength)
	case !plain(name):
		return fmt.Errorf("%w: name %q; use lower-case letters, digits and inner hyphens", ErrInvalid, name)
	}
	return nil
}

// plain reports whether a name is of lower-case letters, digits and inner hyphens. It is
// no regular expression, which would cost 0.1 ms at each start of the plugin.
func plain(name string) bool {
	const inner = "abcdefghijklmnopqrstuvwxyz0123456789-"
	return strings.Trim(name, inner) == "" && !strings.HasPrefix(name, "-") && !strings.HasSuffix(name, "-")
}

// Check returns nil for a program whose fields are in range, otherwise an error
// that names the field and satisfies errors.Is(err, [ErrInvalid]). It looks at
// the fields alone, not at files or maps.
func (p *Program) Check() error {
	if err := CheckName(p.Name); err != nil {
		return err
	}
	if p.Object != "" && !filepath.IsAbs(p.Object) {
		return fmt.Errorf("%w: object %q of program %q; give an absolute path", ErrInvalid, p.Object, p.Name)
	}
	if p.Priority != nil && (*p.Priority < 0 || *p.Priority > MaxPriority) {
		return fmt.Errorf("%w: priority %d of program %q; it goes from 0 (first) to %d", ErrInvalid, *p.Priority, p.Name, MaxPriority)
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
		return fmt.Errorf("%w: pinned %q; give an absolute path on bpffs", ErrInvalid, m.Pinned)
	case m.Scope != ScopeDefault:
		return fmt.Errorf("%w: scope %s and pinned exclude each other; the pinned map is shared by whoever opens it", ErrInvalid, m.Scope)
	case m.MaxEntries != 0:
		return fmt.Errorf("%w: maxEntries and pinned exclude each other; the pinned map has its size", ErrInvalid)
	case len(m.Entries) != 0:
		return fmt.Errorf("%w: entries and pinned exclude each other; whoever made the pinned map fills it", ErrInvalid)
	}
	return nil
}
