// SPDX-License-Identifier: Apache-2.0

package change

import (
	"context"
	"errors"
	"io/fs"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"

	"github.com/xdp-chain/xdp-chain/internal/record"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
	"github.com/xdp-chain/xdp-chain/pkg/dispatcher"
	"github.com/xdp-chain/xdp-chain/pkg/netdev"
)

// swap puts the new program on the interface in one step: in the place of the
// running one, or on an interface that carries none. It fills in the mode that
// was taken.
func (lc *LockedChain) swap(ctx context.Context, built *dispatcher.Built, next *record.State) error {
	running, err := lc.runningLink()
	if err != nil {
		return err
	}
	if running != nil {
		defer running.Close()
		// Dies after it: the pinned link runs the pending program, which the next
		// LockedChain makes final.
		return lc.iface.UpdateLink(running, built.Program, built.Frags)
	}
	if old, err := lc.runningNetlink(); old != nil || err != nil {
		if err != nil {
			return err
		}
		defer old.Close()
		// Dies after it: the interface carries the pending program.
		return lc.iface.ReplaceNetlink(built.Program, old, next.Mode, built.Frags)
	}
	// A chain whose link somebody unpinned or detached is on its way off.
	if old := lc.rec.State; old != nil && old.Attach == chain.AttachLink {
		if err := lc.awaitDetached(ctx, old.ProgramID); err != nil {
			return err
		}
	}
	return lc.attach(built, next)
}

// runningLink opens the link that holds the chain; nil where there is none, or one
// that was detached: by a Remove that died, or by bpftool.
func (lc *LockedChain) runningLink() (link.Link, error) {
	l, err := lc.lock.OpenLink()
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	ifindex, err := netdev.LinkIfindex(l)
	if ifindex == 0 || err != nil {
		l.Close()
		return nil, err
	}
	return l, nil
}

// runningNetlink opens the program that the chain has on the interface by
// netlink; nil where it has none there.
func (lc *LockedChain) runningNetlink() (*ebpf.Program, error) {
	if lc.rec == nil || lc.rec.State == nil || lc.rec.State.Attach != chain.AttachNetlink {
		return nil, nil
	}
	attached, err := lc.attached()
	if err != nil || attached.ProgramID != ebpf.ProgramID(lc.rec.State.ProgramID) {
		return nil, err
	}
	return ebpf.NewProgramFromID(attached.ProgramID)
}

// attach puts the first program on the interface. Dies after the attachment: a
// netlink attachment is found by the pending program's id; a link that is not
// pinned yet goes with the process.
func (lc *LockedChain) attach(built *dispatcher.Built, next *record.State) error {
	o := netdev.AttachOptions{Program: built.Program, Mode: next.Requested.Mode, Frags: built.Frags, KeepNative: lc.keepNative}
	if next.Attach == chain.AttachNetlink {
		placed, err := lc.iface.AttachNetlink(o)
		next.Mode, next.ModeWhy = placed.Mode, placed.Why
		return err
	}
	l, placed, err := lc.iface.AttachLink(o)
	if err != nil {
		return err
	}
	defer l.Close()
	next.Mode, next.ModeWhy = placed.Mode, placed.Why
	return lc.lock.PinLink(l)
}

// racedError is the error of a swap that found something else on the interface than
// what had been read a moment before.
type racedError struct{ error }

// Unwrap returns the error of the swap.
func (e racedError) Unwrap() error { return e.error }

// raced marks the errors of a swap that may come of others' doing. A program on top of the
// interface is there to stay.
func raced(err error) error {
	if errors.Is(err, netdev.ErrCovered) {
		return err
	}
	if errors.Is(err, netdev.ErrBusy) || errors.Is(err, netdev.ErrNotAttached) {
		return racedError{err}
	}
	return err
}

// raceTries bounds how often a change is begun again that libxdp's tools came in
// between of. Each time it gets all that they had done by then.
const raceTries = 10

// retry makes a change again that failed because libxdp's tools changed the chain in
// the meantime. Only they do: the chain's lock keeps everybody of ours away, and any
// other program on the hook is there to stay. From the second try on libxdp's lock is
// held over all of it, so that only those can come in between who had read the chain by
// then.
func (lc *LockedChain) retry(ctx context.Context, change func() error) error {
	for try := 0; ; try++ {
		err := change()
		if !errors.As(err, new(racedError)) || try == raceTries || !lc.withLibxdp() {
			return err
		}
		if lc.libxdp == nil {
			lock, lockErr := lc.trees()[0].Lock(ctx)
			if lockErr != nil {
				return errors.Join(err, lockErr)
			}
			lc.libxdp = lock
			defer func() {
				lock.Unlock()
				lc.libxdp = nil
			}()
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(time.Millisecond << try):
		}
	}
}

// withLibxdp tells whether libxdp's tools have their part in what is on the interface:
// a dispatcher, or nothing where one of ours was.
func (lc *LockedChain) withLibxdp() bool {
	found, err := lc.node.FindLibxdp(lc.rec, lc.iface)
	if err != nil {
		return false
	}
	defer found.Close()
	if found != nil {
		return true
	}
	attached, err := lc.attached()
	return err == nil && attached.ProgramID == 0 && lc.hasLibxdp()
}
