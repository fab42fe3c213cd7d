// SPDX-License-Identifier: Apache-2.0

package netdev

import (
	"fmt"
	"os"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
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

// QueueError says that a veth has fewer receive queues than its peer has transmit
// queues, which native XDP does not allow. It satisfies errors.Is(err, [ErrUnsupported]).
type QueueError struct {
	Interface    string
	RxQueues     int // of Interface; 0: not known
	PeerTxQueues int // of its peer; 0: not known, as where it is in a namespace that is not ours
}

// Error names the figures and what to do.
func (e *QueueError) Error() string {
	figure := func(n int) string {
		if n == 0 {
			return "an unknown number of"
		}
		return fmt.Sprint(n)
	}
	return fmt.Sprintf("%v: %s has %s rx queues and its peer %s tx queues, and native XDP on a veth needs at least as many rx queues; "+
		"set them equal (ethtool -L <interface> rx <n> tx <n>)",
		ErrUnsupported, e.Interface, figure(e.RxQueues), figure(e.PeerTxQueues))
}

// Unwrap returns ErrUnsupported.
func (e *QueueError) Unwrap() error { return ErrUnsupported }

// tooFewQueues looks up the figures behind the driver's ENOSPC. The peer's are read where
// a pod's peer is: in our own namespace, or in the interface's.
func (i *Interface) tooFewQueues() error {
	e := &QueueError{Interface: i.Name}
	if c, err := i.channels(); err == nil {
		e.RxQueues = int(c.RxCount)
	}
	ours, err := CurrentNetNS()
	if err != nil {
		return e
	}
	defer ours.Close()
	for _, in := range []*NetNS{ours, i.NetNS} {
		if peer, err := i.Peer(in); err == nil {
			if c, err := peer.channels(); err == nil {
				e.PeerTxQueues = int(c.TxCount)
			}
			break
		}
	}
	return e
}

// ethtoolChannels is struct ethtool_channels of linux/ethtool.h.
type ethtoolChannels struct {
	Cmd                                         uint32
	MaxRx, MaxTx, MaxOther, MaxCombined         uint32
	RxCount, TxCount, OtherCount, CombinedCount uint32
}

// channels asks for the queues in use. (rtnetlink tells only how many there could be.)
func (i *Interface) channels() (ethtoolChannels, error) {
	c := ethtoolChannels{Cmd: unix.ETHTOOL_GCHANNELS}
	// struct ifreq of linux/if.h, with ifr_data.
	var req struct {
		Name [unix.IFNAMSIZ]byte
		Data unsafe.Pointer
		_    [24 - unsafe.Sizeof(uintptr(0))]byte
	}
	copy(req.Name[:unix.IFNAMSIZ-1], i.Name)
	var pin runtime.Pinner
	pin.Pin(&c)
	defer pin.Unpin()
	req.Data = unsafe.Pointer(&c)
	err := i.NetNS.Do(func() error {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&req))); errno != 0 {
			return errno
		}
		return nil
	})
	return c, err
}
