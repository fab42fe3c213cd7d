// SPDX-License-Identifier: Apache-2.0

package netdev

import (
	"errors"
	"fmt"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// Hook is an interface and the XDP programs on it.
type Hook struct {
	*Interface
	// Programs are what it carries: one, none, or one in software and behind it one in
	// hardware.
	Programs []Attached
}

// dumpTries bounds how often the interfaces are listed again that change under our eyes.
const dumpTries = 10

// Hooks returns the interfaces of the namespace by their index, those without a program
// too, from one RTM_GETLINK dump. The interfaces are usable until the namespace is closed.
func (n *NetNS) Hooks() ([]Hook, error) {
	msgs, err := n.dumpLinks()
	if err != nil {
		return nil, fmt.Errorf("listing the interfaces of network namespace %q: %w", n.path, err)
	}
	hooks := make([]Hook, 0, len(msgs))
	for _, msg := range msgs {
		h, err := n.hook(msg)
		if err != nil {
			return nil, fmt.Errorf("reading about an interface of network namespace %q: %w", n.path, err)
		}
		hooks = append(hooks, h)
	}
	return hooks, nil
}

// dumpLinks returns the payload of one RTM_NEWLINK message an interface. A dump that the
// kernel says was interrupted by a change may lack one that was there all along.
func (n *NetNS) dumpLinks() (msgs [][]byte, err error) {
	noStats := nl.NewRtAttr(unix.IFLA_EXT_MASK, nl.Uint32Attr(rtextFilterSkipStats))
	for range dumpTries {
		msgs, err = n.request(unix.RTM_GETLINK, unix.NLM_F_DUMP, unix.RTM_NEWLINK, nl.NewIfInfomsg(unix.AF_UNSPEC), noStats)
		if !errors.Is(err, nl.ErrDumpInterrupted) {
			break
		}
	}
	return msgs, err
}

func (n *NetNS) hook(msg []byte) (Hook, error) {
	l, err := netlink.LinkDeserialize(nil, msg)
	if err != nil {
		return Hook{}, err
	}
	h := Hook{Interface: n.found(l)}
	h.Programs, err = programsOf(msg)
	return h, err
}
