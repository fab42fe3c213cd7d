// SPDX-License-Identifier: Apache-2.0

package chain

import (
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/xdp-chain/xdp-chain/internal/enum"
)

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

// Attach says what holds a chain on its interface. The zero value is AttachAuto.
type Attach uint8

// The values of Attach.
const (
	// AttachAuto is link for the linked dispatcher, netlink for libxdp.
	AttachAuto Attach = iota
	// AttachLink is a pinned bpf_link, which nothing in the pod can take off.
	AttachLink
	// AttachNetlink sets the program on the interface by netlink, without a link, as ip
	// link and libxdp do.
	AttachNetlink
)

var attachNames = enum.Names[Attach]{What: "attach", Invalid: ErrInvalid, List: []string{"auto", "link", "netlink"}}

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

// LibxdpVersion is a version of libxdp's multiprog protocol, that is of the form of
// its dispatcher's configuration. The zero value, LibxdpVersionAuto, stands for
// nobody's choice.
type LibxdpVersion uint8

// The values of LibxdpVersion.
const (
	// LibxdpVersionAuto is that of the dispatcher found, and else version 2.
	LibxdpVersionAuto LibxdpVersion = 0
	// LibxdpV1 is that of libxdp 1.0 to 1.2. It is read and not written.
	LibxdpV1 LibxdpVersion = 1
	// LibxdpV2 is that of libxdp 1.3 to 1.5. Later ones read it.
	LibxdpV2 LibxdpVersion = 2
	// LibxdpV3 is that of libxdp 1.6 and later, which those before cannot read.
	LibxdpV3 LibxdpVersion = 3
)

// String returns the number, or "auto".
func (v LibxdpVersion) String() string {
	if v == LibxdpVersionAuto {
		return "auto"
	}
	return strconv.Itoa(int(v))
}

// MarshalJSON returns the number; a value that is no version is an error that
// satisfies errors.Is(err, [ErrInvalid]).
func (v LibxdpVersion) MarshalJSON() ([]byte, error) {
	if v > LibxdpV3 {
		return nil, fmt.Errorf("%w: %d is not a version of libxdp's protocol", ErrInvalid, uint8(v))
	}
	return strconv.AppendUint(nil, uint64(v), 10), nil
}

// UnmarshalJSON takes a number from 0 (auto) to 3; anything else is an error that
// satisfies errors.Is(err, [ErrInvalid]).
func (v *LibxdpVersion) UnmarshalJSON(text []byte) error {
	var number uint8
	if err := json.Unmarshal(text, &number); err != nil || LibxdpVersion(number) > LibxdpV3 {
		return fmt.Errorf("%w: version %s of libxdp's protocol; use 2 or 3", ErrInvalid, text)
	}
	*v = LibxdpVersion(number)
	return nil
}
