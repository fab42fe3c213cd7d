// SPDX-License-Identifier: Apache-2.0

package chain

import "github.com/xdp-chain/xdp-chain/internal/enum"

// Side says on which end of a pod's veth pair a chain sits. The zero value is PodSide.
type Side uint8

// The values of Side.
const (
	// PodSide is the pod's interface (CNI_IFNAME): the chain sees what goes to the pod.
	PodSide Side = iota
	// HostSide is its peer on the host: the chain sees what the pod sends.
	HostSide
)

var sideNames = enum.Names[Side]{What: "side", Invalid: ErrInvalid, List: []string{"pod", "host"}}

// String returns the name used in configurations.
func (v Side) String() string { return sideNames.String(v) }

// MarshalText returns the name; a value that is none is an error that satisfies
// errors.Is(err, [ErrInvalid]).
func (v Side) MarshalText() ([]byte, error) { return sideNames.Marshal(v) }

// UnmarshalText takes a name as String prints it; anything else is an error that
// lists the names and satisfies errors.Is(err, [ErrInvalid]).
func (v *Side) UnmarshalText(text []byte) error { return sideNames.Unmarshal(text, v) }
