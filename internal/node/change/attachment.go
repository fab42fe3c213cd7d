// SPDX-License-Identifier: Apache-2.0

package change

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/xdp-chain/xdp-chain/internal/config"
	"github.com/xdp-chain/xdp-chain/internal/node/resolve"
	"github.com/xdp-chain/xdp-chain/internal/node/state"
	"github.com/xdp-chain/xdp-chain/internal/record"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
	"github.com/xdp-chain/xdp-chain/pkg/netdev"
)

// AttachTarget is an interface that a chain of an attachment is for.
type AttachTarget struct {
	Interface *netdev.Interface
	Side      config.Side
	// NetNS is the path of its namespace as the record keeps it.
	NetNS string
}

// SetMembers makes the given members the attachment's members in the chain of one interface.
func SetMembers(ctx context.Context, n *state.Node, a *resolve.Attachment, target AttachTarget, want []resolve.Member) error {
	lc, err := Lock(ctx, n, target.Interface.Key(), target.Interface)
	if err != nil {
		return err
	}
	defer lc.Unlock()
	lc.pod = a.NetNS
	if lc.rec == nil {
		if err := lc.mayRecord(a.Owner); err != nil {
			return err
		}
		lc.rec = &record.Record{
			Version: record.Version, Key: target.Interface.Key(), Interface: target.Interface.Name,
			NetNS: target.NetNS, Side: target.Side, Created: time.Now().UTC(),
		}
		if err := lc.adopt(a); err != nil {
			return err
		}
	}
	p, err := lc.planWith(a, want)
	if err == nil {
		var same bool
		if same, err = lc.has(p); same {
			return nil
		}
	}
	if err == nil {
		err = lc.change(ctx, p)
	}
	if err != nil && lc.rec.State == nil {
		err = errors.Join(err, lc.remove(ctx))
	}
	if err != nil {
		return fmt.Errorf("chain on %s (side %s): %w", target.Interface.Name, target.Side, err)
	}
	return nil
}

// mayRecord says whether a chain without a record may get a new one: not where its
// record was set aside and others have members in it that are known no more.
func (lc *LockedChain) mayRecord(owner record.Owner) error {
	l, err := lc.lock.OpenLink()
	if err == nil {
		l.Close()
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	programs, linksErr := lc.linkedPrograms()
	if linksErr != nil {
		return linksErr
	}
	if err != nil && len(programs) == 0 {
		return nil
	}
	claimed, err := lc.node.ClaimedByOther(lc.lock.Key(), owner)
	if claimed {
		err = fmt.Errorf("%w: the record of chain %s is broken and other attachments have members in it; remove those first", netdev.ErrBusy, lc.lock.Key())
	}
	return err
}

// adopt writes down again what can still be told of a libxdp chain whose record was
// lost, or its members, being no longer known as ours, would stay as others' beside those
// that are to come. Dies after it: the chain is recorded, by members that are built anew
// with the next change.
func (lc *LockedChain) adopt(a *resolve.Attachment) error {
	programs, err := lc.linkedPrograms()
	if err != nil || len(programs) == 0 {
		return err
	}
	s := &record.State{
		Requested: a.Requested, Mode: a.Mode, Attach: chain.AttachNetlink,
		Dispatcher: chain.DispatcherLibxdp, DispatcherWhy: "its record was lost, and that is what it was", LibxdpVersion: a.LibxdpVersion,
	}
	for member, id := range programs {
		s.Members = append(s.Members, record.Member{Member: chain.Member{Name: member}, Owner: a.Owner, ProgramID: uint32(id)})
	}
	lc.rec.State = s
	found, err := lc.node.FindLibxdp(lc.rec, lc.iface)
	if err != nil {
		return err
	}
	defer found.Close()
	if found != nil {
		s.ProgramID, s.Mode, s.LibxdpVersion = found.ID, found.Mode, found.Version
	}
	return lc.node.Records.Save(lc.lock, lc.rec)
}

// Check compares the chain of one interface with what the kernel runs, and with what the
// attachment's configuration wants there. Each difference is an error that satisfies
// errors.Is(err, [state.ErrDiffers]); all are joined.
func Check(ctx context.Context, n *state.Node, a *resolve.Attachment, target AttachTarget, programs []config.Program) error {
	lc, err := Lock(ctx, n, target.Interface.Key(), target.Interface)
	if err != nil {
		return err
	}
	defer lc.Unlock()
	lc.pod = a.NetNS
	if lc.rec == nil || lc.rec.State == nil {
		return fmt.Errorf("%w: %s (side %s) has no chain: it was not added, or it was removed", state.ErrDiffers, target.Interface.Name, target.Side)
	}
	differences, err := lc.recordedDifferences()
	if err != nil {
		return err
	}
	differences = append(differences, lc.missing(a, programs)...)
	errs := make([]error, len(differences))
	for i, d := range differences {
		errs[i] = fmt.Errorf("%w: %s (side %s): %s", state.ErrDiffers, target.Interface.Name, target.Side, d)
	}
	return errors.Join(errs...)
}
