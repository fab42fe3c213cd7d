// SPDX-License-Identifier: Apache-2.0

package change

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"slices"

	"github.com/xdp-chain/xdp-chain/internal/node/state"
	"github.com/xdp-chain/xdp-chain/internal/record"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
	"github.com/xdp-chain/xdp-chain/pkg/netdev"
	"github.com/xdp-chain/xdp-chain/pkg/pin"
)

// Stale tells whether the chain can be taken away without anybody missing it. A chain whose
// record was set aside can be when its link has lost its interface, or when there is no link.
func (lc *LockedChain) Stale() (bool, error) {
	liveness, _, err := lc.node.Liveness(lc.lock.Key(), lc.rec, func() (*netdev.Interface, string, error) { return lc.iface, "", nil })
	return liveness == state.Gone && err == nil, err
}

// RemoveStale takes a chain down that nobody would miss. It does not wait for its lock: a
// chain that somebody works on is passed over.
func RemoveStale(ctx context.Context, n *state.Node, key chain.Key) error {
	lc, err := tryLock(ctx, n, key)
	if lc == nil || err != nil {
		return err
	}
	defer lc.Unlock()
	if dead, err := lc.Stale(); err != nil || !dead {
		return err
	}
	owners := lc.state().Owners()
	now, cancel := context.WithCancel(ctx)
	cancel()
	err = lc.remove(now)
	if errors.Is(err, pin.ErrLocked) {
		return nil // somebody works on libxdp's tree
	}
	if err != nil {
		return err
	}
	return errors.Join(n.RemoveDeadIndexes(ctx, owners), n.DropManualMapsOf(now, owners))
}

// remove takes the chain off its interface and everything of it away. A death on
// the way leaves the record until the program is detached and its pins are gone,
// and a folder without a record after that, which a sweep removes.
func (lc *LockedChain) remove(ctx context.Context) error {
	if err := lc.detach(); err != nil {
		return err
	}
	if err := lc.restorePeer(); err != nil {
		return err
	}
	if err := lc.unpinAll(ctx); err != nil {
		return err
	}
	if err := lc.lock.Clear(); err != nil {
		return err
	}
	if err := lc.node.Records.Remove(lc.lock, lc.lock.Key()); err != nil {
		return err
	}
	return lc.lock.Unlock()
}

// detach takes the chain off its interface before anything says that it is off:
// the kernel takes a link that only loses its pin down some milliseconds later,
// and the next ADD would meet it. A death right after it leaves a chain that is
// recorded and does not run, which the next holder of the lock removes or puts back.
func (lc *LockedChain) detach() error {
	if lc.hasLibxdp() {
		return lc.detachLibxdp()
	}
	l, err := lc.lock.OpenLink()
	if errors.Is(err, fs.ErrNotExist) {
		return lc.detachNetlink()
	}
	if err != nil {
		return err
	}
	defer l.Close()
	if err := l.Detach(); err != nil {
		return fmt.Errorf("detach the chain's link: %w", err)
	}
	return nil
}

func (lc *LockedChain) detachNetlink() error {
	program, err := lc.runningNetlink()
	if program == nil || err != nil {
		return err
	}
	defer program.Close()
	err = lc.iface.DetachNetlink(program, lc.rec.State.Mode)
	if lc.staysCovered(err) || errors.Is(err, netdev.ErrBusy) || errors.Is(err, netdev.ErrNoInterface) {
		return nil // taken off by others, or gone, since
	}
	return err
}

// staysCovered tells whether a chain could not be taken off since the pod, which is root over
// its interfaces, has put one with an XDP program on top. No retry mends that, and a DEL that
// fails would keep the pod for ever; the program goes with the interface.
func (lc *LockedChain) staysCovered(err error) bool {
	if !errors.Is(err, netdev.ErrCovered) {
		return false
	}
	slog.Warn("a chain is given up, and its program stays on the interface until that goes", "chain", lc.lock.Key().String(), "error", err)
	return true
}

// RemoveOwner takes the owner's members out of one chain.
func RemoveOwner(ctx context.Context, n *state.Node, key chain.Key, owner record.Owner) error {
	lc, err := Lock(ctx, n, key, nil)
	if err != nil {
		return err
	}
	defer lc.Unlock()
	owners := lc.state().Owners()
	if err := lc.removeOwner(ctx, owner); err != nil {
		return fmt.Errorf("chain %s: %w", key, err)
	}
	return n.DropManualMapsOf(ctx, owners) // with the interface go all members
}

func (lc *LockedChain) removeOwner(ctx context.Context, owner record.Owner) error {
	if lc.rec == nil {
		return lc.removeUnrecorded(ctx, owner)
	}
	return retryRaced(func() error { return lc.removeRecorded(ctx, owner) })
}

// retryRaced takes members off, or a chain down, again where others were faster.
func retryRaced(take func() error) error {
	for try := 1; ; try++ {
		err := take()
		if !errors.As(err, new(racedError)) || try == removeTries {
			return err
		}
	}
}

// removeTries bounds how often it is looked again whether the chain is to be taken down
// or changed, since others joined it as it was taken down. A change by itself is made
// again often enough.
const removeTries = 3

func (lc *LockedChain) removeRecorded(ctx context.Context, owner record.Owner) error {
	if lc.rec.State == nil || lc.iface == nil {
		return lc.remove(ctx)
	}
	shared, err := lc.sharedWithLibxdp()
	if err != nil {
		return err
	}
	if onlyOwner(lc.rec.State.Owners(), owner) && !shared {
		return lc.remove(ctx)
	}
	if !lc.rec.HasOwner(owner) {
		return nil
	}
	p, err := lc.planWithout(owner)
	if err == nil {
		err = lc.change(ctx, p)
	}
	if errors.Is(err, errNobodyLeft) {
		return lc.remove(ctx)
	}
	if err == nil || ctx.Err() != nil || errors.As(err, new(racedError)) {
		return err
	}
	// The others' members cannot be built again, and no retry will mend that. The
	// chain goes on as it is, in the hands of those who are left, and with the last
	// of them it goes.
	slog.WarnContext(ctx, "a chain keeps the members of an owner that left, as it cannot be rebuilt without them", "chain", lc.rec.Key.String(), "error", err)
	return lc.reassignOwner(owner)
}

// sharedWithLibxdp tells whether members of libxdp's tools are in the chain, which are
// theirs to take off.
func (lc *LockedChain) sharedWithLibxdp() (bool, error) {
	if !lc.hasLibxdp() {
		return false, nil
	}
	found, err := lc.node.FindLibxdp(lc.rec, lc.iface)
	if err != nil {
		return false, err
	}
	defer found.Close()
	return len(found.Others()) > 0, nil
}

// reassignOwner gives an owner's members to one of the others. Where those are libxdp's
// tools, the record keeps the owner: the members go with the interface.
func (lc *LockedChain) reassignOwner(owner record.Owner) error {
	members := lc.rec.State.Members
	other := slices.IndexFunc(members, func(m record.Member) bool { return !m.Owner.Same(owner) })
	if other < 0 {
		return nil
	}
	for i, m := range members {
		if m.Owner.Same(owner) {
			members[i].Owner = members[other].Owner
		}
	}
	return lc.node.Records.Save(lc.lock, lc.rec)
}

// removeUnrecorded deals with a chain that has no record: none was written yet, it
// was the last thing to go, or it was broken. In the last case the attachments
// tell whether somebody else needs the chain.
func (lc *LockedChain) removeUnrecorded(ctx context.Context, owner record.Owner) error {
	claimed, err := lc.node.ClaimedByOther(lc.lock.Key(), owner)
	if err != nil || claimed {
		return err
	}
	return lc.remove(ctx)
}

func onlyOwner(owners []record.Owner, owner record.Owner) bool {
	for _, o := range owners {
		if !o.Same(owner) {
			return false
		}
	}
	return true
}
