// SPDX-License-Identifier: Apache-2.0

package chain

import "github.com/xdp-chain/xdp-chain/internal/enum"

// PeerNapi says whether the other end of a veth pair is made to poll (NAPI) for
// members that send packets back: veth drops what XDP_TX and XDP_REDIRECT send to an
// end that does not (veth_xdp_xmit of drivers/net/veth.c). The zero value is
// PeerNapiAuto.
type PeerNapi uint8

// The values of PeerNapi.
const (
	// PeerNapiAuto is on for chains with a member whose catalog entry says that it
	// transmits.
	PeerNapiAuto PeerNapi = iota
	// PeerNapiOff leaves the other end as it is.
	PeerNapiOff
)

var peerNapiNames = enum.Names[PeerNapi]{What: "peerNapi", Invalid: ErrInvalid, List: []string{"auto", "off"}}

// String returns the name used in configurations.
func (v PeerNapi) String() string { return peerNapiNames.String(v) }

// MarshalText returns the name; a value that is none is an error that satisfies
// errors.Is(err, [ErrInvalid]).
func (v PeerNapi) MarshalText() ([]byte, error) { return peerNapiNames.Marshal(v) }

// UnmarshalText takes a name as String prints it; anything else is an error that
// lists the names and satisfies errors.Is(err, [ErrInvalid]).
func (v *PeerNapi) UnmarshalText(text []byte) error { return peerNapiNames.Unmarshal(text, v) }
