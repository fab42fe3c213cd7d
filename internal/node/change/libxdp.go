// SPDX-License-Identifier: Apache-2.0

package change

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"slices"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"

	"github.com/xdp-chain/xdp-chain/internal/node/state"
	"github.com/xdp-chain/xdp-chain/internal/record"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
	"github.com/xdp-chain/xdp-chain/pkg/dispatcher"
	"github.com/xdp-chain/xdp-chain/pkg/netdev"
	"github.com/xdp-chain/xdp-chain/pkg/pin"
)

// swapLibxdp pins the slots of the new dispatcher as libxdp does, and swaps it in for
// the one that was found. libxdp's lock is held over both, so that nobody takes the
// pins of a dispatcher away that is not on its interface yet. Dies in between: the
// pending generation names the dispatcher whose pins the next holder of the lock drops.
func (lc *LockedChain) swapLibxdp(ctx context.Context, built *dispatcher.Built, next *record.State, found *state.LibxdpChain) error {
	lock := lc.libxdp
	if lock == nil {
		var err error
		if lock, err = lc.trees()[0].Lock(ctx); err != nil {
			return err
		}
		defer lock.Unlock()
	}
	slots := make([]pin.Slot, len(built.Slots))
	for i, s := range built.Slots {
		slots[i] = pin.Slot{Program: s.Program, Link: s.Link}
	}
	if err := lock.Pin(lc.dispatch(next.ProgramID), slots); err != nil {
		return err
	}
	if found == nil {
		return lc.attach(built, next)
	}
	return lc.iface.ReplaceNetlink(built.Program, found.Dispatcher, found.Mode, built.Frags)
}

// dispatch names a dispatcher of the chain's interface.
func (lc *LockedChain) dispatch(id uint32) pin.Dispatch {
	return pin.Dispatch{Ifindex: lc.rec.Key.Ifindex, ID: ebpf.ProgramID(id)}
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
func (lc *LockedChain) detachLibxdp() error {
	found, err := lc.node.FindLibxdp(lc.rec, lc.iface)
	if err != nil || found == nil {
		return err
	}
	defer found.Close()
	if !found.HasOwn() && !found.Recorded {
		if found.Unpinned {
			slog.Warn("a libxdp dispatcher whose pins are gone is left on the interface: whose it is cannot be told", "interface", lc.iface.Name, "program", found.ID)
		}
		return nil
	}
	if n := len(found.Others()); n > 0 {
		return racedError{fmt.Errorf("%w: %d members of libxdp's tools have joined the chain on %s", netdev.ErrBusy, n, lc.iface.Name)}
	}
	err = lc.iface.DetachNetlink(found.Dispatcher, found.Mode)
	if errors.Is(err, netdev.ErrNoInterface) || lc.staysCovered(err) {
		return nil
	}
	return raced(err)
}

// unpin removes the pins of a dispatcher that is not on the interface any more, or
// never came there. It can be repeated.
func (lc *LockedChain) unpin(ctx context.Context, id uint32) error {
	for _, tree := range lc.trees() {
		if err := lc.unpinFrom(ctx, tree, func(d pin.Dispatch) (bool, error) { return d == lc.dispatch(id), nil }); err != nil {
			return err
		}
	}
	return nil
}

// unpinFrom removes the pins of those dispatchers in a tree that are to go. It takes
// libxdp's lock only where there are some.
func (lc *LockedChain) unpinFrom(ctx context.Context, tree pin.Libxdp, goes func(pin.Dispatch) (bool, error)) error {
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
	lock := lc.libxdp
	if lock == nil || tree != lc.trees()[0] {
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

// unpinAll removes what is pinned of the chain's dispatchers: of those that are recorded,
// and of those that have members of ours in them, whoever made them. With the interface go
// all of its dispatchers, and those of others in its namespace that are gone like it: no
// record may tell of these, if libxdp's tools had them to themselves.
func (lc *LockedChain) unpinAll(ctx context.Context) error {
	if lc.rec != nil && lc.rec.State != nil && !lc.hasLibxdp() {
		return nil
	}
	programs, err := lc.ownPrograms()
	if err != nil {
		return err
	}
	trees := lc.trees()
	for _, tree := range trees {
		err := lc.unpinFrom(ctx, tree, func(d pin.Dispatch) (bool, error) {
			switch {
			case lc.rec != nil && lc.iface == nil && tree == trees[0] && tree != lc.node.BPFFS.HostLibxdp():
				return lc.isGone(d.Ifindex)
			case d.Ifindex != lc.lock.Key().Ifindex:
				return false, nil
			case lc.isRecorded(d.ID):
				return true, nil
			}
			return holdsAny(tree, d, programs)
		})
		if err != nil {
			return err
		}
	}
	return lc.dropEmptyTree(ctx)
}

// isGone tells whether an interface of the chain's namespace is gone, or the namespace is.
func (lc *LockedChain) isGone(ifindex int) (bool, error) {
	iface, err := state.Reopen(&record.Record{Key: chain.Key{Cookie: lc.rec.Key.Cookie, Ifindex: ifindex}, NetNS: lc.rec.NetNS})
	if iface == nil || err != nil {
		return err == nil, err
	}
	return false, iface.NetNS.Close()
}

// trees are where the pins of the chain may be, first where they should be.
func (lc *LockedChain) trees() []pin.Libxdp {
	if lc.rec != nil {
		return lc.node.LibxdpTrees(lc.rec)
	}
	return []pin.Libxdp{lc.node.BPFFS.Libxdp(lc.lock.Key().Cookie), lc.node.BPFFS.HostLibxdp()}
}

// ownPrograms are our members' programs in libxdp's dispatchers: by the record, and where
// that was lost by the links that are pinned in the chain's folder.
func (lc *LockedChain) ownPrograms() ([]ebpf.ProgramID, error) {
	var programs []ebpf.ProgramID
	if lc.rec != nil {
		for _, s := range lc.rec.States() {
			for _, m := range s.Members {
				programs = append(programs, ebpf.ProgramID(m.ProgramID))
			}
		}
		return programs, nil
	}
	linked, err := lc.linkedPrograms()
	return slices.Collect(maps.Values(linked)), err
}

// linkedPrograms are the programs of our members that are in libxdp's dispatchers, by
// member: what is known of them where the record was lost.
func (lc *LockedChain) linkedPrograms() (map[string]ebpf.ProgramID, error) {
	links, err := lc.lock.OpenLinks()
	if err != nil {
		return nil, err
	}
	programs := make(map[string]ebpf.ProgramID, len(links))
	for member, l := range links {
		info, infoErr := l.Info()
		if infoErr != nil {
			err = fmt.Errorf("read about the link of member %q: %w", member, infoErr)
		} else {
			programs[member] = info.Program
		}
		l.Close()
	}
	return programs, err
}

// isRecorded tells whether a dispatcher is one that the record names.
func (lc *LockedChain) isRecorded(id ebpf.ProgramID) bool {
	if lc.rec == nil {
		return false
	}
	for _, s := range lc.rec.States() {
		if id == ebpf.ProgramID(s.ProgramID) || id == ebpf.ProgramID(s.Replaced) {
			return true
		}
	}
	return false
}

// holdsAny tells whether one of the programs is in a slot of a pinned dispatcher.
func holdsAny(tree pin.Libxdp, d pin.Dispatch, programs []ebpf.ProgramID) (bool, error) {
	pinned, err := tree.Programs(d)
	if err != nil {
		return false, err
	}
	defer state.ClosePrograms(pinned)
	for _, p := range pinned {
		id, err := state.ProgramID(p)
		if err != nil {
			return false, err
		}
		if slices.Contains(programs, ebpf.ProgramID(id)) {
			return true, nil
		}
	}
	return false, nil
}

// dropEmptyTree removes what is left of the namespace's tree where a process was killed
// as it made the tree or took it down.
func (lc *LockedChain) dropEmptyTree(ctx context.Context) error {
	if lc.libxdp != nil { // then its Unlock does that
		return nil
	}
	lock, err := lc.trees()[0].LockExisting(ctx)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return lock.Unlock()
}
