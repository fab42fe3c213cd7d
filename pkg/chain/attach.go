// SPDX-License-Identifier: Apache-2.0

package chain

import "github.com/xdp-chain/xdp-chain/internal/enum"

// Mode says where in the receive path the kernel runs a chain. The zero value is ModeAuto.
type Mode uint8

// The values of Mode.
const (
	// ModeAuto is native, and generic where the driver or the MTU does not allow native.
	ModeAuto Mode = iota
	// ModeNative is in the driver (XDP_FLAGS_DRV_MODE).
	ModeNative
	// ModeGeneric is after the driver has made an skb (XDP_FLAGS_SKB_MODE).
	ModeGeneric
	// ModeOffload is in the hardware (XDP_FLAGS_HW_MODE).
	ModeOffload
)

var modeNames = enum.Names[Mode]{What: "mode", Invalid: ErrInvalid, List: []string{"auto", "native", "generic", "offload"}}

// String returns the name used in configurations.
func (v Mode) String() string { return modeNames.String(v) }

// MarshalText returns the name; a value that is none is an error that satisfies
// errors.Is(err, [ErrInvalid]).
func (v Mode) MarshalText() ([]byte, error) { return modeNames.Marshal(v) }

// UnmarshalText takes a name as String prints it; anything else is an error that
// lists the names and satisfies errors.Is(err, [ErrInvalid]).
func (v *Mode) UnmarshalText(text []byte) error { return modeNames.Unmarshal(text, v) }

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
