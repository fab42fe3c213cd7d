// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"errors"
	"io/fs"

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
func (t *tenure) swap(ctx context.Context, built *dispatcher.Built, next *record.State) error {
	running, err := t.runningLink()
	if err != nil {
		return err
	}
	if running != nil {
		defer running.Close()
		// Dies after it: the pinned link runs the pending program, which the next
		// tenure makes final.
		return t.iface.UpdateLink(running, built.Program, built.Frags)
	}
	if old, err := t.runningNetlink(); old != nil || err != nil {
		if err != nil {
			return err
		}
		defer old.Close()
		// Dies after it: the interface carries the pending program.
		return t.iface.ReplaceNetlink(built.Program, old, next.Mode, built.Frags)
	}
	// A chain whose link somebody unpinned or detached is on its way off.
	if old := t.rec.State; old != nil && old.Attach == chain.AttachLink {
		if err := t.awaitDetached(ctx, old.ProgramID); err != nil {
			return err
		}
	}
	return t.attach(built, next)
}

// runningLink opens the link that holds the chain; nil where there is none, or one
// that was detached: by a Remove that died, or by bpftool.
func (t *tenure) runningLink() (link.Link, error) {
	l, err := t.lock.OpenLink()
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
func (t *tenure) runningNetlink() (*ebpf.Program, error) {
	if t.rec == nil || t.rec.State == nil || t.rec.State.Attach != chain.AttachNetlink {
		return nil, nil
	}
	attached, err := t.attached()
	if err != nil || attached.ProgramID != ebpf.ProgramID(t.rec.State.ProgramID) {
		return nil, err
	}
	return ebpf.NewProgramFromID(attached.ProgramID)
}

// attach puts the first program on the interface. Dies after the attachment: a
// netlink attachment is found by the pending program's id; a link that is not
// pinned yet goes with the process.
func (t *tenure) attach(built *dispatcher.Built, next *record.State) error {
	o := netdev.AttachOptions{Program: built.Program, Mode: next.Requested.Mode, Frags: built.Frags, KeepNative: t.keepNative}
	if next.Attach == chain.AttachNetlink {
		placed, err := t.iface.AttachNetlink(o)
		next.Mode, next.ModeWhy = placed.Mode, placed.Why
		return err
	}
	l, placed, err := t.iface.AttachLink(o)
	if err != nil {
		return err
	}
	defer l.Close()
	next.Mode, next.ModeWhy = placed.Mode, placed.Why
	return t.lock.PinLink(l)
}
