// SPDX-License-Identifier: Apache-2.0

package netdev

import (
	"fmt"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

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
