// SPDX-License-Identifier: Apache-2.0

package chain

import "github.com/xdp-chain/xdp-chain/internal/enum"

// Attach says what holds a chain on its interface. The zero value is AttachAuto.
type Attach uint8

// The values of Attach.
const (
	// AttachAuto is link for the linked dispatcher, netlink for libxdp.
	AttachAuto Attach = iota
	// AttachLink is a pinned bpf_link, which nothing in the pod can take off.
	AttachLink
	// AttachNetlink is the interface itself, as ip link and libxdp do.
	AttachNetlink
)

var attachNames = enum.Names[Attach]{What: "attach", Invalid: ErrInvalid, List: []string{"auto", "link", "netlink"}}

// String returns the name used in configurations.
func (v Attach) String() string { return attachNames.String(v) }

// MarshalText returns the name; a value that is none is an error that satisfies
// errors.Is(err, [ErrInvalid]).
func (v Attach) MarshalText() ([]byte, error) { return attachNames.Marshal(v) }

// UnmarshalText takes a name as String prints it; anything else is an error that
// lists the names and satisfies errors.Is(err, [ErrInvalid]).
func (v *Attach) UnmarshalText(text []byte) error { return attachNames.Unmarshal(text, v) }
