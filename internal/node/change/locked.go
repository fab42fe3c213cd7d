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
		if lc.iface == nil && rec.HasOwner(state.ManualOwner) {
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

// state is the generation that runs as the record has it, nil before the first.
func (lc *LockedChain) state() *record.State {
	if lc.rec == nil {
		return nil
	}
	return lc.rec.State
}

// generation counts the one that runs, 0 before the first.
func (lc *LockedChain) generation() uint64 {
	if s := lc.state(); s != nil {
		return s.Generation
	}
	return 0
}

// hasMembers tells whether the chain is recorded to have members of ours.
func (lc *LockedChain) hasMembers() bool { s := lc.state(); return s != nil && len(s.Members) > 0 }

// hasLibxdp tells whether the chain is recorded to be one of libxdp's protocol.
func (lc *LockedChain) hasLibxdp() bool {
	s := lc.state()
	return s != nil && s.Dispatcher == chain.DispatcherLibxdp
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

// An interface that an operator puts a chain on need not stay where it is, as a pod's does:
// the recorded path of its namespace may be a process's that ends before others in there,
// and it may be moved to another namespace with all that is on it.

// seek looks for the interface of a chain in every network namespace that can be found. It
// stays nil where the interface is gone.
func (lc *LockedChain) seek() error {
	if elsewhere, err := lc.mayBeElsewhere(); !elsewhere || err != nil {
		return err
	}
	paths, err := netdev.Namespaces()
	if err != nil {
		return err
	}
	for _, path := range paths {
		if lc.iface, err = lc.seekAt(path); lc.iface == nil && err == nil {
			continue
		}
		// Saved with the change that is to come. What was recorded as the node's own namespace
		// stays that, whatever path leads there from here.
		if err == nil && !lc.moved() {
			lc.rec.Interface = lc.iface.Name
			if lc.rec.NetNS != netdev.CurrentPath {
				lc.rec.NetNS = path
			}
		}
		return err
	}
	return nil
}

// mayBeElsewhere spares the search for an interface that is gone for certain: a link tells.
func (lc *LockedChain) mayBeElsewhere() (bool, error) {
	for _, s := range lc.rec.States() {
		if s.Attach == chain.AttachNetlink {
			return true, nil
		}
	}
	return lc.node.LinkAlive(lc.lock.Key())
}

// seekAt finds the interface in one namespace: by its key, or by the chain's program.
func (lc *LockedChain) seekAt(path string) (*netdev.Interface, error) {
	if iface, err := state.ReopenAt(path, lc.lock.Key()); iface != nil || err != nil {
		return iface, err
	}
	return state.InterfaceWith(path, lc.isRecorded)
}

// moved tells whether the interface is in another namespace than the chain's. What is on it
// can be taken off as a whole, and not be changed: nothing there leads to this chain.
func (lc *LockedChain) moved() bool { return lc.iface != nil && lc.iface.Key() != lc.lock.Key() }

// reachable returns nil for a chain that can be changed. Where the interface is gone, and the
// chain with it, errors.Is(err, [netdev.ErrNoInterface]).
func (lc *LockedChain) reachable() error {
	if lc.moved() {
		return fmt.Errorf("%w: %s was moved to another network namespace, with the chain on it; unload all of its members, or move it back",
			netdev.ErrUnsupported, lc.rec.Interface)
	}
	if lc.iface != nil {
		return nil
	}
	alive, err := lc.node.LinkAlive(lc.lock.Key())
	if err != nil {
		return err
	}
	if alive {
		return fmt.Errorf("%w: the chain runs on %s, and no path leads to that one's network namespace; unload all of its members, or name the namespace by a process in it",
			netdev.ErrNetNSGone, lc.rec.Interface)
	}
	return fmt.Errorf("%w: %s is gone, and its chain with it", netdev.ErrNoInterface, lc.rec.Interface)
}

// refresh notes where the interface is now and what it is called, for the change that is
// to come to save: it may have been renamed, and the recorded path of its namespace may be
// a process's that has ended.
func (lc *LockedChain) refresh() error {
	lc.rec.Interface = lc.iface.Name
	found, err := state.Reopen(lc.rec)
	if found != nil {
		return found.NetNS.Close()
	}
	if err == nil {
		lc.rec.NetNS, err = lc.iface.NetNS.LastingPath()
	}
	return err
}
