// SPDX-License-Identifier: Apache-2.0

package chain

import "github.com/xdp-chain/xdp-chain/internal/enum"

// Scope says which pods share a member's map. The zero value is ScopeDefault.
type Scope uint8

// The values of Scope.
const (
	// ScopeDefault is the object decides: node for maps declared LIBBPF_PIN_BY_NAME, otherwise pod.
	ScopeDefault Scope = iota
	// ScopePod is one map for each chain.
	ScopePod
	// ScopeNode is one map for all pods of a network.
	ScopeNode
)

var scopeNames = enum.Names[Scope]{What: "scope", Invalid: ErrInvalid, List: []string{"", "pod", "node"}}

// String returns the name used in configurations.
func (v Scope) String() string { return scopeNames.String(v) }

// MarshalText returns the name; a value that is none is an error that satisfies
// errors.Is(err, [ErrInvalid]).
func (v Scope) MarshalText() ([]byte, error) { return scopeNames.Marshal(v) }

// UnmarshalText takes a name as String prints it; anything else is an error that
// lists the names and satisfies errors.Is(err, [ErrInvalid]).
func (v *Scope) UnmarshalText(text []byte) error { return scopeNames.Unmarshal(text, v) }
