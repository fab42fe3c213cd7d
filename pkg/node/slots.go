// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"

	"github.com/xdp-chain/xdp-chain/pkg/dispatcher"
	"github.com/xdp-chain/xdp-chain/pkg/netdev"
	"github.com/xdp-chain/xdp-chain/pkg/pin"
	"github.com/xdp-chain/xdp-chain/pkg/record"
)

// swapLibxdp pins the slots of the new dispatcher as libxdp does, and swaps it in for
// the one that was found. libxdp's lock is held over both, so that nobody takes the
// pins of a dispatcher away that is not on its interface yet. Dies in between: the
// pending generation names the dispatcher whose pins the next tenure drops.
func (t *tenure) swapLibxdp(ctx context.Context, built *dispatcher.Built, next *record.State, found *libxdpChain) error {
	lock := t.libxdp
	if lock == nil {
		var err error
		if lock, err = t.node.libxdpTree(t.rec).Lock(ctx); err != nil {
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

// unpin removes the pins of a dispatcher that is not on the interface any more, or
// never came there. It can be repeated.
func (t *tenure) unpin(ctx context.Context, id uint32) error {
	for _, tree := range t.node.libxdpTrees(t.rec) {
		if err := t.unpinFrom(ctx, tree, func(d pin.Dispatch) (bool, error) { return d == t.dispatch(id), nil }); err != nil {
			return err
		}
	}
	return nil
}

// unpinFrom removes the pins of those dispatchers in a tree that are to go. It takes
// libxdp's lock only where there are some.
func (t *tenure) unpinFrom(ctx context.Context, tree pin.Libxdp, goes func(pin.Dispatch) (bool, error)) error {
	all, err := tree.Dispatches()
	if err != nil {
		return err
	}
	var going []pin.Dispatch
	for _, d := range all {
		yes, err := goes(d)
		if err != nil {
			return err
		}
		if yes {
			going = append(going, d)
		}
	}
	if len(going) == 0 {
		return nil
	}
	lock := t.libxdp
	if lock == nil || tree != t.node.libxdpTree(t.rec) {
		if lock, err = tree.LockExisting(ctx); errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		defer lock.Unlock()
	}
	for _, d := range going {
		if err := lock.Unpin(d); err != nil {
			return err
		}
	}
	return nil
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
		return nil
	}
	if n := len(found.others()); n > 0 {
		return racedError{fmt.Errorf("%w: %d members of libxdp's tools have joined the chain on %s", netdev.ErrBusy, n, t.iface.Name)}
	}
	err = t.iface.DetachNetlink(found.dispatcher, found.mode)
	if errors.Is(err, netdev.ErrNoInterface) {
		return nil
	}
	return raced(err)
}

// unpinAll removes what is pinned of the chain's dispatchers: of those that are recorded,
// of those that libxdp's tools made with members of ours in them, and with the
// interface of all of that interface's.
func (t *tenure) unpinAll(ctx context.Context) error {
	own := t.node.libxdpTree(t.rec)
	for _, tree := range t.node.libxdpTrees(t.rec) {
		err := t.unpinFrom(ctx, tree, func(d pin.Dispatch) (bool, error) {
			switch {
			case d.Ifindex != t.rec.Key.Ifindex:
				return false, nil
			case tree == own && t.iface == nil && t.rec.NetNS != netdev.CurrentPath:
				return true, nil
			}
			return t.isOurs(tree, d)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// isOurs tells whether a pinned dispatcher is a recorded one, or has members of ours.
func (t *tenure) isOurs(tree pin.Libxdp, d pin.Dispatch) (bool, error) {
	for _, s := range []*record.State{t.rec.State, t.rec.Pending} {
		if s != nil && (d.ID == ebpf.ProgramID(s.ProgramID) || d.ID == ebpf.ProgramID(s.Replaced)) {
			return true, nil
		}
	}
	programs, err := tree.Programs(d)
	if err != nil {
		return false, err
	}
	defer closePrograms(programs)
	for _, p := range programs {
		id, err := programID(p)
		if err != nil {
			return false, err
		}
		if ownProgram(t.rec, id) != nil {
			return true, nil
		}
	}
	return false, nil
}

func closePrograms(programs []*ebpf.Program) {
	for _, p := range programs {
		p.Close()
	}
}

func programID(p *ebpf.Program) (uint32, error) {
	info, err := p.Info()
	if err != nil {
		return 0, fmt.Errorf("read the id of %s: %w", p, err)
	}
	id, _ := info.ID()
	return uint32(id), nil
}
