// SPDX-License-Identifier: Apache-2.0

package chain

import "github.com/xdp-chain/xdp-chain/internal/enum"

// Dispatcher names the program in front that calls the members. The zero value is DispatcherAuto.
type Dispatcher uint8

// The values of Dispatcher.
const (
	// DispatcherAuto is linked wherever the members can be linked.
	DispatcherAuto Dispatcher = iota
	// DispatcherLinked is members linked into one program by direct calls.
	DispatcherLinked
	// DispatcherLibxdp is libxdp's multiprog protocol.
	DispatcherLibxdp
)

var dispatcherNames = enum.Names[Dispatcher]{What: "dispatcher", Invalid: ErrInvalid, List: []string{"auto", "linked", "libxdp"}}

// String returns the name used in configurations.
func (v Dispatcher) String() string { return dispatcherNames.String(v) }

// MarshalText returns the name; a value that is none is an error that satisfies
// errors.Is(err, [ErrInvalid]).
func (v Dispatcher) MarshalText() ([]byte, error) { return dispatcherNames.Marshal(v) }

// UnmarshalText takes a name as String prints it; anything else is an error that
// lists the names and satisfies errors.Is(err, [ErrInvalid]).
func (v *Dispatcher) UnmarshalText(text []byte) error { return dispatcherNames.Unmarshal(text, v) }
