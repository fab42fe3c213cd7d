// SPDX-License-Identifier: Apache-2.0

package catalog

import (
	"encoding/json"

	"github.com/xdp-chain/xdp-chain/pkg/chain"
)

// Entry is a program that a chain can have by its name.
type Entry struct {
	// Name is what programs[].name in a configuration says.
	Name string
	// Origin says in messages and records where Content comes from.
	Origin string
	// Content is a BPF ELF object.
	Content []byte
	// Function is the program's name in the object.
	Function string
	// Priority is the entry's place in a chain; nil leaves it to the object.
	Priority *int
	// ProceedOn holds the verdicts after which the next member runs; nil leaves
	// them to the object.
	ProceedOn *chain.ActionSet
	// Globals sets variables of the object by name; values are JSON, as in a
	// configuration.
	Globals map[string]json.RawMessage
	// Lists names the maps that the program reads from key 0 on, up to the first
	// key that is not set. See [Entry.CheckMaps].
	Lists []string
}
