// SPDX-License-Identifier: Apache-2.0

package netdev

import (
	"errors"
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"

	"github.com/xdp-chain/xdp-chain/pkg/chain"
)

var (
	// ErrNetNSGone is wrapped by every error about a path that leads to no network
	// namespace: it does not exist, it is a stale file, or it is something else.
	ErrNetNSGone = errors.New("no network namespace")

	// ErrNoInterface is wrapped by every error about an interface that is not where
	// it was looked for.
	ErrNoInterface = errors.New("no such interface")

	// ErrNotVeth is wrapped by every error about the peer of an interface that, being
	// no veth, has none.
	ErrNotVeth = errors.New("not a veth")

	// ErrBusy is wrapped by every error about an XDP hook that something else holds;
	// [BusyError] says what.
	ErrBusy = errors.New("XDP hook is busy")

	// ErrCovered is wrapped by every error about a program that netlink cannot change because
	// an interface on top of its own carries one, too. Such errors are about a busy hook
	// as well ([ErrBusy]), but nobody was faster: to try again is in vain.
	ErrCovered = errors.New("an interface on top carries an XDP program")

	// ErrNotAttached is wrapped by every error about a swap of a program that is no
	// longer there, with nothing in its place.
	ErrNotAttached = errors.New("no XDP program attached")

	// ErrUnsupported is wrapped by every error about a mode that the interface cannot
	// take as it is: no driver support, the MTU ([MTUError]), the number of queues
	// ([QueueError]). Mode auto goes on to generic on it.
	ErrUnsupported = errors.New("XDP mode not supported")
)

// BusyError says that an XDP hook is held by something else. It satisfies
// errors.Is(err, [ErrBusy]).
type BusyError struct {
	Interface string // the one to change
	NetNS     string // path
	On        string // the one that carries Holder: Interface, or the bridge or bond it is a port of
	Holder    Attached
	Err       error // the kernel's
}

// Error names the program, what holds it, and how to take it off. The holder is unknown
// where it left while we looked, or where it is a driver that is in another use.
func (e *BusyError) Error() string {
	if e.Holder.ProgramID == 0 {
		return fmt.Sprintf("interface %s: %v: %v, but it carries no XDP program now; try again", e.Interface, ErrBusy, e.Err)
	}
	where := fmt.Sprintf("interface %s", e.Interface)
	if e.On != e.Interface {
		where += fmt.Sprintf(" is a port of %s, which", e.On)
	}
	return fmt.Sprintf("%s carries %v: %v; take it off first (%s, in network namespace %s)", where, e.Holder, ErrBusy, e.removal(), e.NetNS)
}

func (e *BusyError) removal() string {
	switch {
	case e.Holder.LinkID != 0:
		return fmt.Sprintf("bpftool link detach id %d", e.Holder.LinkID)
	case e.Holder.Attach == chain.AttachLink:
		return "bpftool link detach"
	}
	flag := map[chain.Mode]string{chain.ModeNative: "xdpdrv", chain.ModeGeneric: "xdpgeneric", chain.ModeOffload: "xdpoffload"}
	return fmt.Sprintf("ip link set dev %s %s off", e.On, flag[e.Holder.Mode])
}

// Unwrap returns ErrBusy and the kernel's error.
func (e *BusyError) Unwrap() []error { return []error{ErrBusy, e.Err} }

// busy finds out who holds the hook that the kernel refused with err. Besides a program
// on the interface itself, one on the bridge or bond above it makes the kernel refuse: a
// first attach, and since 5.15 any change by netlink of a program that is there.
func (i *Interface) busy(err error) error {
	e := &BusyError{Interface: i.Name, NetNS: i.NetNS.path, On: i.Name, Err: err}
	lookup := i.busyAbove(e)
	if lookup == nil && e.On == i.Name {
		if errors.Is(err, ErrCovered) { // by what is no master: a macvlan, a VLAN
			return fmt.Errorf("interface %s: %w: %w; take that one off first", i.Name, ErrBusy, err)
		}
		e.Holder, lookup = i.Holder()
	}
	if lookup != nil {
		return fmt.Errorf("%w (who holds it is not known: %w)", e, lookup)
	}
	return e
}

// busyAbove fills in the holder where it is on the bridge or bond above. The kernel looks
// for that after a bpf_link on the interface (EBUSY) and before any other program.
func (i *Interface) busyAbove(e *BusyError) error {
	if i.master == 0 || !errors.Is(e.Err, unix.EEXIST) {
		return nil
	}
	master, err := i.NetNS.InterfaceByIndex(i.master)
	if err != nil {
		return err
	}
	holder, err := master.Holder()
	if err != nil || holder.ProgramID == 0 {
		return err
	}
	e.On, e.Holder = master.Name, holder
	return nil
}

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
	peer, err := i.peerElsewhere()
	if err != nil {
		return err
	}
	return &MTUError{Interface: i.Name, Limiting: peer.Name, MTU: peer.MTU, Max: maxVethMTU(frags), Frags: frags}
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
	e.RxQueues, _ = i.queues(unix.ETHTOOL_A_CHANNELS_RX_COUNT)
	ours, err := CurrentNetNS()
	if err != nil {
		return e
	}
	defer ours.Close()
	for _, in := range []*NetNS{ours, i.NetNS} {
		if peer, err := i.Peer(in); err == nil {
			e.PeerTxQueues, _ = peer.queues(unix.ETHTOOL_A_CHANNELS_TX_COUNT)
			break
		}
	}
	return e
}
