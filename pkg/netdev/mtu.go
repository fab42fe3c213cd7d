// SPDX-License-Identifier: Apache-2.0

package netdev

import (
	"fmt"
	"os"
	"runtime"
)

// MTUError says that frames on an interface may be too large for native XDP. It
// satisfies errors.Is(err, [ErrUnsupported]).
type MTUError struct {
	Interface string
	Limiting  string // the interface whose MTU counts: for a veth its peer, by its name there
	MTU       int    // of Limiting, bytes
	Max       int    // that MTU may be at most this, bytes; 0: the driver does not say
	Frags     bool   // the program was frags-aware already
}

// Error names both figures and what to do.
func (e *MTUError) Error() string {
	limit := "more than the driver takes for native XDP"
	lower := "lower the MTU"
	if e.Max != 0 {
		limit = fmt.Sprintf("native XDP takes at most %d", e.Max)
		lower = fmt.Sprintf("lower the MTU to %d or less", e.Max)
	}
	if !e.Frags {
		limit += " without frags"
		lower += `, or make every program of the chain frags-aware (SEC("xdp.frags"))`
	}
	whose := e.Limiting
	if e.Limiting != e.Interface {
		whose = fmt.Sprintf("%s, the peer of %s,", e.Limiting, e.Interface)
	}
	return fmt.Sprintf("%v: the MTU of %s is %d, and %s; %s", ErrUnsupported, whose, e.MTU, limit, lower)
}

// Unwrap returns ErrUnsupported.
func (e *MTUError) Unwrap() error { return ErrUnsupported }

// mtuTooLarge looks up the figures behind the driver's ERANGE.
func (i *Interface) mtuTooLarge(frags bool) error {
	if i.Kind != "veth" {
		return &MTUError{Interface: i.Name, Limiting: i.Name, MTU: i.MTU, Frags: frags}
	}
	mtu, name, err := i.peerMTU()
	if err != nil {
		return err
	}
	return &MTUError{Interface: i.Name, Limiting: name, MTU: mtu, Max: maxVethMTU(frags), Frags: frags}
}

// maxVethMTU returns the largest MTU of a peer with which a veth takes native XDP, as
// veth_xdp_set of drivers/net/veth.c computes it: a frame must fit in one page beside the
// headroom and struct skb_shared_info. A program with frags may take 17 pages more
// (MAX_SKB_FRAGS in its default). 3506 without frags where pages have 4096 bytes.
func maxVethMTU(frags bool) int {
	const (
		xdpHeadroom    = 256 // XDP_PACKET_HEADROOM
		sharedInfo     = 320 // sizeof(struct skb_shared_info)
		ethernetHeader = 14
		maxFrags       = 17
	)
	ipAlign, cacheLine := 0, 64 // amd64 and arm64
	if runtime.GOARCH != "amd64" && runtime.GOARCH != "arm64" {
		ipAlign, cacheLine = 2, 256 // NET_IP_ALIGN and SMP_CACHE_BYTES at their largest, so the figure is safe
	}
	alignedInfo := (sharedInfo + cacheLine - 1) / cacheLine * cacheLine
	page := os.Getpagesize()
	mtu := page - xdpHeadroom - ipAlign - alignedInfo - ethernetHeader
	if frags {
		mtu += page * maxFrags
	}
	return mtu
}
