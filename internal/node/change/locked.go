// SPDX-License-Identifier: Apache-2.0

package change

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/cilium/ebpf"

	"github.com/xdp-chain/xdp-chain/internal/node/state"
	"github.com/xdp-chain/xdp-chain/internal/record"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
	"github.com/xdp-chain/xdp-chain/pkg/netdev"
	"github.com/xdp-chain/xdp-chain/pkg/pin"
)

// LockedChain is one chain while this process holds its lock: the only way to change
// it. When [Lock] returns one, whatever a process left half done on this
// chain has been finished or undone.
type LockedChain struct {
	node *state.Node
	lock *pin.Locked
	// rec is nil where the chain has no record.
	rec *record.Record
	// iface is nil where the interface is gone.
	iface *netdev.Interface
	// borrowed says that iface belongs to the caller of Lock.
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

// Lock takes the chain's lock, reads its record and recovers it. iface may be
// nil; it is then found through the record.
func Lock(ctx context.Context, n *state.Node, key chain.Key, iface *netdev.Interface) (*LockedChain, error) {
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
	return open(ctx, n, lock, iface)
}

// tryLock is Lock for those who do not wait: for a chain that somebody works on, or
// that a killed process has not let go of yet, it returns nil.
func tryLock(ctx context.Context, n *state.Node, key chain.Key) (*LockedChain, error) {
	now, cancel := context.WithCancel(ctx)
	cancel()
	lock, err := n.BPFFS.TryLock(key)
	if errors.Is(err, fs.ErrNotExist) {
		// A record alone: its folder is made, or nobody could lock it.
		lock, err = n.BPFFS.Lock(now, key)
	}
	var lc *LockedChain
	if err == nil {
		lc, err = open(now, n, lock, nil)
	}
	if errors.Is(err, pin.ErrLocked) || errors.Is(err, context.Canceled) {
		return nil, nil
	}
	return lc, err
}

func open(ctx context.Context, n *state.Node, lock *pin.Locked, iface *netdev.Interface) (*LockedChain, error) {
	lc := &LockedChain{node: n, lock: lock, iface: iface, borrowed: iface != nil}
	if err := lc.load(ctx); err != nil {
		lc.Unlock()
		return nil, fmt.Errorf("chain %s: %w", lock.Key(), err)
	}
	return lc, nil
}

func (lc *LockedChain) load(ctx context.Context) error {
	rec, err := lc.node.Look(ctx, lc.lock.Key())
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
	lc.rec = rec
	if lc.iface == nil {
		if lc.iface, err = state.Reopen(rec); err != nil {
			return err
		}
		// The sweep must not take such a chain for dead.
		if lc.iface == nil && state.HasOwner(rec, state.ManualOwner) {
			if err := lc.seek(); err != nil {
				return err
			}
		}
	}
	return lc.recover(ctx)
}

// Unlock gives the lock back. It may be called after lc.remove.
func (lc *LockedChain) Unlock() {
	if lc.iface != nil && !lc.borrowed {
		lc.iface.NetNS.Close()
	}
	lc.lock.Unlock()
}

// Record is what is recorded of the chain, nil where nothing is. It is not the caller's to change.
func (lc *LockedChain) Record() *record.Record { return lc.rec }

// generation is that of the chain which runs, 0 before the first.
func (lc *LockedChain) generation() uint64 {
	if lc.rec == nil || lc.rec.State == nil {
		return 0
	}
	return lc.rec.State.Generation
}

// hasMembers tells whether the chain is recorded to have members of ours.
func (lc *LockedChain) hasMembers() bool {
	return lc.rec.State != nil && len(lc.rec.State.Members) > 0
}

// hasLibxdp tells whether the chain is recorded to be one of libxdp's protocol.
func (lc *LockedChain) hasLibxdp() bool {
	return lc.rec != nil && lc.rec.State != nil && lc.rec.State.Dispatcher == chain.DispatcherLibxdp
}

// member finds a member of the running generation.
func (lc *LockedChain) member(name string, owner record.Owner) *record.Member {
	if lc.rec == nil || lc.rec.State == nil {
		return nil
	}
	for i, m := range lc.rec.State.Members {
		if m.Name == name && m.Owner.Same(owner) {
			return &lc.rec.State.Members[i]
		}
	}
	return nil
}

// memberByID finds a member of the running generation; nil where it has left.
func (lc *LockedChain) memberByID(id record.ID) *record.Member {
	if lc.rec == nil || lc.rec.State == nil {
		return nil
	}
	i := state.IndexOf(lc.rec.State.Members, id)
	if i < 0 {
		return nil
	}
	return &lc.rec.State.Members[i]
}

func (lc *LockedChain) owners() []record.Owner {
	if lc.rec == nil || lc.rec.State == nil {
		return nil
	}
	return lc.rec.State.Owners()
}

// runs tells whether the kernel runs the program of s on the interface. For a
// bpf_link the pin counts, not the interface: a link that its dying maker has
// not pinned is about to go.
func (lc *LockedChain) runs(s *record.State) (bool, error) {
	if s.Attach == chain.AttachLink {
		return lc.linkRuns(ebpf.ProgramID(s.ProgramID))
	}
	attached, err := lc.attached()
	if err != nil || attached.ProgramID == ebpf.ProgramID(s.ProgramID) || s.Dispatcher != chain.DispatcherLibxdp {
		return err == nil && attached.ProgramID == ebpf.ProgramID(s.ProgramID), err
	}
	return lc.pendingWentOn()
}

// pendingWentOn tells whether libxdp's tools made what is on the interface out of the
// pending generation, and not of the one before: which of the two it has more of.
func (lc *LockedChain) pendingWentOn() (bool, error) {
	found, err := lc.node.FindLibxdp(lc.rec, lc.iface)
	if err != nil {
		return false, err
	}
	defer found.Close()
	return found.HasOwn() && found.Distance(lc.rec.Pending) < found.Distance(lc.rec.State), nil
}

func (lc *LockedChain) linkRuns(id ebpf.ProgramID) (bool, error) {
	l, err := lc.lock.OpenLink()
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
func (lc *LockedChain) attached() (netdev.Attached, error) {
	if lc.iface == nil {
		return netdev.Attached{}, nil
	}
	attached, err := lc.iface.Attached()
	if errors.Is(err, netdev.ErrNoInterface) {
		return netdev.Attached{}, nil
	}
	return attached, err
}

// awaitDetached returns when the program is off the interface. The kernel takes a
// link that lost its last pin or process down in its own time, and the lock of a
// maker that was killed between attach and pin is free a moment before that.
func (lc *LockedChain) awaitDetached(ctx context.Context, id uint32) error {
	for {
		attached, err := lc.attached()
		if err != nil || attached.ProgramID != ebpf.ProgramID(id) {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait until the kernel takes program %d, whose link nothing holds any more, off %s: %w", id, lc.rec.Interface, ctx.Err())
		case <-time.After(time.Millisecond):
		}
	}
}
