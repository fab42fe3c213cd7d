// SPDX-License-Identifier: Apache-2.0

package catalog

import (
	"encoding/json"
	"maps"
	"slices"

	"github.com/xdp-chain/xdp-chain/pkg/chain"
)

// Entry is a program that a chain can have by its name.
type Entry struct {
	// Name is what programs[].name in a configuration says.
	Name string
	// Origin says in messages and records where the object comes from.
	Origin string
	// File is the catalog file that the entry comes from, or that changes the defaults
	// of a built-in. Empty: none.
	File string
	// Object is the absolute path of a BPF ELF object. Empty: it is Content.
	Object string
	// Content is the BPF ELF object of a built-in.
	Content []byte
	// Function is the program's name in the object; empty where the object has one
	// program alone.
	Function string
	// Priority is the entry's place in a chain; nil leaves it to the object.
	Priority *int
	// ProceedOn holds the verdicts after which the next member runs; nil leaves
	// them to the object.
	ProceedOn *chain.ActionSet
	// Globals sets variables of the object by name; values are JSON, as in a
	// configuration.
	Globals map[string]json.RawMessage
	// Settable holds the variables that a pod may set, and to what.
	Settable map[string]Setting
	// Transmits says that the program sends packets back, by XDP_TX or XDP_REDIRECT.
	Transmits bool
	// Lists names the maps that the program reads from key 0 on, up to the first
	// key that is not set. See [Entry.CheckMaps].
	Lists []string
}

// clone returns an entry that shares nothing with e but the settings, which nobody
// changes.
func (e Entry) clone() Entry {
	if e.Priority != nil {
		e.Priority = new(*e.Priority)
	}
	if e.ProceedOn != nil {
		e.ProceedOn = new(*e.ProceedOn)
	}
	e.Globals, e.Settable = maps.Clone(e.Globals), maps.Clone(e.Settable)
	e.Content, e.Lists = slices.Clone(e.Content), slices.Clone(e.Lists)
	return e
}
