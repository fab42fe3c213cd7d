// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"

	"github.com/xdp-chain/xdp-chain/internal/record"
	"github.com/xdp-chain/xdp-chain/pkg/dispatcher"
	"github.com/xdp-chain/xdp-chain/pkg/netdev"
	"github.com/xdp-chain/xdp-chain/pkg/pin"
)

// swapLibxdp pins the slots of the new dispatcher as libxdp does, and swaps it in for
// the one that was found. libxdp's lock is held over both, so that nobody takes the
// pins of a dispatcher away that is not on its interface yet. Dies in between: the
// pending generation names the dispatcher whose pins the next tenure drops.
func (t *tenure) swapLibxdp(ctx context.Context, built *dispatcher.Built, next *record.State, found *libxdpChain) error {
	lock := t.libxdp
	if lock == nil {
		var err error
		if lock, err = t.trees()[0].Lock(ctx); err != nil {
			return err
		}
		defer lock.Unlock()
	}
	slots := make([]pin.Slot, len(built.Slots))
	for i, s := range built.Slots {
		slots[i] = pin.Slot{Program: s.Program, Link: s.Link}
	}
	if err := lock.Pin(t.dispatch(next.ProgramID), slots); err != nil {
		return err
	}
	if found == nil {
		return t.attach(built, next)
	}
	return t.iface.ReplaceNetlink(built.Program, found.dispatcher, found.mode, built.Frags)
}

// dispatch names a dispatcher of the chain's interface.
func (t *tenure) dispatch(id uint32) pin.Dispatch {
	return pin.Dispatch{Ifindex: t.rec.Key.Ifindex, ID: ebpf.ProgramID(id)}
}

// ownLinks are the links that hold our members in a libxdp dispatcher, by member.
func ownLinks(built *dispatcher.Built, next *record.State) map[string]link.Link {
	links := make(map[string]link.Link, len(next.Members))
	for _, s := range built.Slots {
		if slices.ContainsFunc(next.Members, func(m record.Member) bool { return m.Name == s.Member }) {
			links[s.Member] = s.Link
		}
	}
	if len(links) == 0 {
		return nil
	}
	return links
}

// detachLibxdp takes a dispatcher with none but our members off the interface. One that
// others have come into since is left, for the caller to change.
func (t *tenure) detachLibxdp() error {
	found, err := t.node.findLibxdp(t.rec, t.iface)
	if err != nil || found == nil {
		return err
	}
	defer found.close()
	if !found.hasOwn() && !found.recorded {
		if found.unpinned {
			slog.Warn("a libxdp dispatcher whose pins are gone is left on the interface: whose it is cannot be told", "interface", t.iface.Name, "program", found.id)
		}
		return nil
	}
	if n := len(found.others()); n > 0 {
		return racedError{fmt.Errorf("%w: %d members of libxdp's tools have joined the chain on %s", netdev.ErrBusy, n, t.iface.Name)}
	}
	err = t.iface.DetachNetlink(found.dispatcher, found.mode)
	if errors.Is(err, netdev.ErrNoInterface) || t.staysCovered(err) {
		return nil
	}
	return raced(err)
}
