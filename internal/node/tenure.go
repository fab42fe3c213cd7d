// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"time"

	"github.com/cilium/ebpf"

	"github.com/xdp-chain/xdp-chain/internal/record"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
	"github.com/xdp-chain/xdp-chain/pkg/netdev"
	"github.com/xdp-chain/xdp-chain/pkg/pin"
)

// tenure is one chain while this process holds its lock: the only way to change
// it. When [Node.hold] returns one, whatever a process left half done on this
// chain has been finished or undone.
type tenure struct {
	node *Node
	lock *pin.Locked
	// rec is nil where the chain has no record.
	rec *record.Record
	// iface is nil where the interface is gone.
	iface *netdev.Interface
	// borrowed says that iface belongs to the caller of hold.
	borrowed bool
	// pod is the path of the network namespace of the attachment's pod; empty where none
	// is at hand.
	pod string
	// keepNative says that a change may not take generic mode for the MTU's sake: see
	// keepsNative.
	keepNative bool
	// libxdp is libxdp's lock on the chain's tree while a change is made again that
	// its tools came in between of; otherwise nil.
	libxdp *pin.LibxdpLocked
}

// hold takes the chain's lock, reads its record and recovers it. iface may be
// nil; it is then found through the record.
func (n *Node) hold(ctx context.Context, key chain.Key, iface *netdev.Interface) (*tenure, error) {
	lock, err := n.BPFFS.Lock(ctx, key)
	if errors.Is(err, fs.ErrNotExist) {
		// Somebody unmounted the bpffs. What was pinned there is lost, and those who
		// want to leave must not be kept by that.
		if err = n.BPFFS.Ensure(); err == nil {
			lock, err = n.BPFFS.Lock(ctx, key)
		}
	}
	if err != nil {
		return nil, err
	}
	return n.begin(ctx, lock, iface)
}

// tryHold is hold for those who do not wait: for a chain that somebody works on, or
// that a killed process has not let go of yet, it returns nil.
func (n *Node) tryHold(ctx context.Context, key chain.Key) (*tenure, error) {
	now, cancel := context.WithCancel(ctx)
	cancel()
	lock, err := n.BPFFS.TryLock(key)
	if errors.Is(err, fs.ErrNotExist) {
		// A record alone: its folder is made, or nobody could lock it.
		lock, err = n.BPFFS.Lock(now, key)
	}
	var t *tenure
	if err == nil {
		t, err = n.begin(now, lock, nil)
	}
	if errors.Is(err, pin.ErrLocked) || errors.Is(err, context.Canceled) {
		return nil, nil
	}
	return t, err
}

func (n *Node) begin(ctx context.Context, lock *pin.Locked, iface *netdev.Interface) (*tenure, error) {
	t := &tenure{node: n, lock: lock, iface: iface, borrowed: iface != nil}
	if err := t.load(ctx); err != nil {
		t.release()
		return nil, fmt.Errorf("chain %s: %w", lock.Key(), err)
	}
	return t, nil
}

func (t *tenure) load(ctx context.Context) error {
	rec, err := t.node.look(ctx, t.lock.Key())
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case errors.Is(err, record.ErrBroken):
		// The kernel keeps running what it runs; who the owners are can be
		// read from the attachments alone.
		return nil
	case err != nil:
		return err
	}
	t.rec = rec
	if t.iface == nil {
		if t.iface, err = reopen(rec); err != nil {
			return err
		}
		// The sweep must not take such a chain for dead.
		if t.iface == nil && hasOwner(rec, byHand) {
			if err := t.seek(); err != nil {
				return err
			}
		}
	}
	return t.recover(ctx)
}

// release gives the lock back. It may be called after t.remove.
func (t *tenure) release() {
	if t.iface != nil && !t.borrowed {
		t.iface.NetNS.Close()
	}
	t.lock.Unlock()
}

// recover brings the chain to one generation after a process died in the middle
// of a change. The kernel decides: if the generation that was being made runs,
// it is made final; if not, it is dropped. Both can be repeated.
func (t *tenure) recover(ctx context.Context) error {
	if t.rec.Pending == nil {
		return t.settle()
	}
	runs, err := t.runs(t.rec.Pending)
	if err != nil {
		return err
	}
	if runs {
		return t.commit(ctx, *t.rec.Pending)
	}
	if err := t.awaitDetached(ctx, t.rec.Pending.ProgramID); err != nil {
		return err
	}
	return t.drop(ctx)
}

// generation is that of the chain which runs, 0 before the first.
func (t *tenure) generation() uint64 {
	if t.rec == nil || t.rec.State == nil {
		return 0
	}
	return t.rec.State.Generation
}

// runs tells whether the kernel runs the program of s on the interface. For a
// bpf_link the pin counts, not the interface: a link that its dying maker has
// not pinned is about to go.
func (t *tenure) runs(s *record.State) (bool, error) {
	if s.Attach == chain.AttachLink {
		return t.linkRuns(ebpf.ProgramID(s.ProgramID))
	}
	attached, err := t.attached()
	if err != nil || attached.ProgramID == ebpf.ProgramID(s.ProgramID) || s.Dispatcher != chain.DispatcherLibxdp {
		return err == nil && attached.ProgramID == ebpf.ProgramID(s.ProgramID), err
	}
	return t.pendingWentOn()
}

// pendingWentOn tells whether libxdp's tools made what is on the interface out of the
// pending generation, and not of the one before: which of the two it has more of.
func (t *tenure) pendingWentOn() (bool, error) {
	found, err := t.node.findLibxdp(t.rec, t.iface)
	if err != nil {
		return false, err
	}
	defer found.close()
	return found.hasOwn() && found.distance(t.rec.Pending) < found.distance(t.rec.State), nil
}

func (t *tenure) linkRuns(id ebpf.ProgramID) (bool, error) {
	l, err := t.lock.OpenLink()
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer l.Close()
	info, err := l.Info()
	if err != nil {
		return false, fmt.Errorf("read about the chain's link: %w", err)
	}
	return info.Program == id, nil
}

// attached is what the interface carries; nothing where the interface is gone.
func (t *tenure) attached() (netdev.Attached, error) {
	if t.iface == nil {
		return netdev.Attached{}, nil
	}
	attached, err := t.iface.Attached()
	if errors.Is(err, netdev.ErrNoInterface) {
		return netdev.Attached{}, nil
	}
	return attached, err
}

// awaitDetached returns when the program is off the interface. The kernel takes a
// link that lost its last pin or process down in its own time, and the lock of a
// maker that was killed between attach and pin is free a moment before that.
func (t *tenure) awaitDetached(ctx context.Context, id uint32) error {
	for {
		attached, err := t.attached()
		if err != nil || attached.ProgramID != ebpf.ProgramID(id) {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait until the kernel takes program %d, whose link nothing holds any more, off %s: %w", id, t.rec.Interface, ctx.Err())
		case <-time.After(time.Millisecond):
		}
	}
}

// drop forgets the pending generation. A death between its steps leaves a
// staging folder, or a record without a chain; the next tenure goes on from there.
func (t *tenure) drop(ctx context.Context) error {
	if t.rec.Pending.Dispatcher == chain.DispatcherLibxdp {
		// Dies after it: the generation is still pending, and dropped again.
		if err := t.unpin(ctx, t.rec.Pending.ProgramID); err != nil {
			return err
		}
	}
	t.rec.Pending = nil
	if err := t.node.Records.Save(t.lock, t.rec); err != nil {
		return err
	}
	return t.settle()
}

// settle ends what comes with one generation alone, once it is known which one runs: the
// other's pins, and GRO at the veth's other end where only that one needed it.
func (t *tenure) settle() error {
	if err := t.lock.FinalizePins(t.generation()); err != nil {
		return err
	}
	return t.settlePeer()
}

// remove takes the chain off its interface and everything of it away. A death on
// the way leaves the record until the program is detached and its pins are gone,
// and a folder without a record after that, which a sweep removes.
func (t *tenure) remove(ctx context.Context) error {
	if err := t.detach(); err != nil {
		return err
	}
	if err := t.restorePeer(); err != nil {
		return err
	}
	if err := t.unpinAll(ctx); err != nil {
		return err
	}
	if err := t.lock.Clear(); err != nil {
		return err
	}
	if err := t.node.Records.Remove(t.lock, t.lock.Key()); err != nil {
		return err
	}
	return t.lock.Unlock()
}

// detach takes the chain off its interface before anything says that it is off:
// the kernel takes a link that only loses its pin down some milliseconds later,
// and the next ADD would meet it. A death right after it leaves a chain that is
// recorded and does not run, which the next tenure removes or puts back.
func (t *tenure) detach() error {
	if t.hasLibxdp() {
		return t.detachLibxdp()
	}
	l, err := t.lock.OpenLink()
	if errors.Is(err, fs.ErrNotExist) {
		return t.detachNetlink()
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

func (t *tenure) detachNetlink() error {
	program, err := t.runningNetlink()
	if program == nil || err != nil {
		return err
	}
	defer program.Close()
	err = t.iface.DetachNetlink(program, t.rec.State.Mode)
	if t.staysCovered(err) || errors.Is(err, netdev.ErrBusy) || errors.Is(err, netdev.ErrNoInterface) {
		return nil // taken off by others, or gone, since
	}
	return err
}

// staysCovered tells whether a chain could not be taken off since the pod, which is root over
// its interfaces, has put one with an XDP program on top. No retry mends that, and a DEL that
// fails would keep the pod for ever; the program goes with the interface.
func (t *tenure) staysCovered(err error) bool {
	if !errors.Is(err, netdev.ErrCovered) {
		return false
	}
	slog.Warn("a chain is given up, and its program stays on the interface until that goes", "chain", t.lock.Key().String(), "error", err)
	return true
}
