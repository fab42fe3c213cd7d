// SPDX-License-Identifier: Apache-2.0

package record

import (
	"encoding/json"
	"time"

	"github.com/xdp-chain/xdp-chain/pkg/chain"
)

// Version is what this package writes and reads. A record of a later version is
// refused, not guessed at.
const Version = 1

// Record is what is known of one chain.
type Record struct {
	Version int `json:"version"`
	// Key names the chain: the cookie of its interface's namespace and the index.
	Key chain.Key `json:"key"`
	// Interface is the interface's name when the chain was made.
	Interface string `json:"interface"`
	// NetNS is a path of its network namespace. It may lead elsewhere by now: the
	// key's cookie tells.
	NetNS string `json:"netns"`
	// Side is the end of the pod's veth pair.
	Side chain.Side `json:"side"`
	// Created is when the chain was made.
	Created time.Time `json:"created"`
	// State is the generation that runs; nil before the first does.
	State *State `json:"state,omitempty"`
	// Pending is the generation that a process was making when this was written;
	// nil between changes. Whether it runs, the kernel knows.
	Pending *State `json:"pending,omitempty"`
	// Base holds what the counters of earlier generations counted.
	Base []Count `json:"base,omitempty"`
}

// Settings are how a chain is to be built and held.
type Settings struct {
	// Mode, Attach and Dispatcher are what was asked for.
	Requested Requested `json:"requested"`
	// Counters says whether the dispatcher counts.
	Counters bool `json:"counters"`
}

// Requested is what a configuration asks for, auto included.
type Requested struct {
	Mode       chain.Mode       `json:"mode"`
	Attach     chain.Attach     `json:"attach"`
	Dispatcher chain.Dispatcher `json:"dispatcher"`
}

// State is one generation of a chain.
type State struct {
	// Generation counts the chain's changes, from 1.
	Generation uint64 `json:"generation"`
	// ProgramID is the kernel's id of the dispatcher.
	ProgramID uint32 `json:"programID"`
	// Mode is what the kernel took, and ModeReason why it is generic under auto.
	// In a pending generation the mode may still be auto.
	Mode       chain.Mode `json:"mode"`
	ModeReason string     `json:"modeReason,omitempty"`
	// Attach is what holds the program on the interface, never auto.
	Attach chain.Attach `json:"attach"`
	// Dispatcher is the one that was chosen, never auto, and DispatcherReason why.
	Dispatcher       chain.Dispatcher `json:"dispatcher"`
	DispatcherReason string           `json:"dispatcherReason"`
	Settings
	// Owners are those whose members are in the chain, in the order they came.
	Owners []Owner `json:"owners"`
	// Members in running order.
	Members []Member `json:"members"`
}

// Member is a member of a chain, with what it takes to build it again from the
// store.
type Member struct {
	chain.Member
	Owner Owner `json:"owner"`
	// Object is the digest of its object in the store, and Origin where that
	// came from: a path, or which built-in program.
	Object string `json:"object"`
	Origin string `json:"origin"`
	// Globals are the values set, placeholders filled in.
	Globals map[string]json.RawMessage `json:"globals,omitempty"`
	// Maps are the map settings, placeholders filled in.
	Maps map[string]chain.MapSettings `json:"maps,omitempty"`
	// Pins are the names of the maps pinned for it.
	Pins []string `json:"pins,omitempty"`
}

// Count is how many packets one member decided with one verdict.
type Count struct {
	Member  string        `json:"member"`
	Verdict chain.Verdict `json:"verdict"`
	Packets uint64        `json:"packets"`
}
