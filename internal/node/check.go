// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/cilium/ebpf"

	"github.com/xdp-chain/xdp-chain/internal/config"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
	"github.com/xdp-chain/xdp-chain/pkg/netdev"
)

// Check compares what the attachment wants with what is recorded, and what is
// recorded with what the kernel runs. It returns every difference that it finds,
// joined; each satisfies errors.Is(err, [ErrDiffers]). A process that died in the
// middle of a change does not count as one: the chain is recovered first.
func (n *Node) Check(ctx context.Context, a Attachment) error {
	sides := a.sides()
	s, err := openSites(&a, sides)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrDiffers, err)
	}
	defer s.close()
	errs := []error{n.checkIndex(ctx, &a, s)}
	for _, site := range s.list {
		errs = append(errs, n.checkSite(ctx, &a, site, sides[site.side]))
	}
	return errors.Join(errs...)
}

// checkIndex says which chains the attachment is in that its configuration does
// not want: those of a side that it had programs for when it was added.
func (n *Node) checkIndex(ctx context.Context, a *Attachment, s *sites) error {
	index, err := n.attachment(ctx, a.Network, a.ContainerID, a.Ifname)
	if errors.Is(err, fs.ErrNotExist) { // its chains are missed one by one
		return nil
	}
	if err != nil {
		return err
	}
	var errs []error
	for _, key := range index.Keys {
		wanted := slices.ContainsFunc(s.list, func(site site) bool { return site.iface.Key() == key })
		if !wanted && n.runsFor(ctx, key, a.owner()) {
			errs = append(errs, fmt.Errorf("%w: the attachment has members in chain %s, where its configuration has none", ErrDiffers, key))
		}
	}
	return errors.Join(errs...)
}

func (n *Node) checkSite(ctx context.Context, a *Attachment, s site, programs []config.Program) error {
	t, err := n.hold(ctx, s.iface.Key(), s.iface)
	if err != nil {
		return err
	}
	defer t.release()
	t.pod = a.NetNS
	if t.rec == nil || t.rec.State == nil {
		return fmt.Errorf("%w: %s (side %s) has no chain: it was not added, or it was removed", ErrDiffers, s.iface.Name, s.side)
	}
	differences, err := t.differences()
	if err != nil {
		return err
	}
	differences = append(differences, t.missing(a, programs)...)
	errs := make([]error, len(differences))
	for i, d := range differences {
		errs[i] = fmt.Errorf("%w: %s (side %s): %s", ErrDiffers, s.iface.Name, s.side, d)
	}
	return errors.Join(errs...)
}

// missing says what the configuration wants of the chain and the record has not,
// and the other way round.
func (t *tenure) missing(a *Attachment, programs []config.Program) []string {
	var list []string
	for _, p := range programs {
		m := t.member(p.Name, a.owner())
		switch {
		case m == nil:
			list = append(list, fmt.Sprintf("member %q is missing", p.Name))
			continue
		case p.Priority != nil && *p.Priority != m.Priority:
			list = append(list, fmt.Sprintf("member %q has priority %d, configured is %d", p.Name, m.Priority, *p.Priority))
		}
		if p.ProceedOn != nil && *p.ProceedOn != m.ProceedOn {
			list = append(list, fmt.Sprintf("member %q proceeds on %s, configured is %s", p.Name, m.ProceedOn, *p.ProceedOn))
		}
		if m.ByHand {
			list = append(list, fmt.Sprintf("member %q runs %s of %s, by which an operator replaced what is configured", p.Name, m.Function, m.Origin))
		}
	}
	for _, m := range t.rec.State.Members {
		named := slices.ContainsFunc(programs, func(p config.Program) bool { return p.Name == m.Name })
		if m.Owner.Same(a.owner()) && !named {
			list = append(list, fmt.Sprintf("member %q is in the chain and not in the configuration", m.Name))
		}
	}
	return list
}

// differences says what the kernel and bpffs have that the record does not say.
func (t *tenure) differences() ([]string, error) {
	hook, err := t.hookDifferences()
	if err != nil {
		return nil, err
	}
	pins, err := t.pinDifferences()
	if err != nil {
		return nil, err
	}
	peer, err := t.peerDifferences()
	return slices.Concat(hook, pins, peer), err
}

func (t *tenure) hookDifferences() ([]string, error) {
	s := t.rec.State
	if s.Dispatcher == chain.DispatcherLibxdp {
		return t.slotDifferences()
	}
	attached, err := t.iface.Attached()
	if errors.Is(err, netdev.ErrNoInterface) {
		return []string{"the interface is gone"}, nil
	}
	if err != nil {
		return nil, err
	}
	switch {
	case attached.ProgramID == 0:
		return []string{fmt.Sprintf("the chain (program %d) is gone: the interface carries no XDP program", s.ProgramID)}, nil
	case attached.ProgramID != ebpf.ProgramID(s.ProgramID):
		if holder, err := t.iface.Holder(); err == nil {
			attached = holder
		}
		return []string{fmt.Sprintf("the chain (program %d) was replaced: the interface carries %s", s.ProgramID, attached)}, nil
	case attached.Mode != s.Mode:
		return []string{fmt.Sprintf("the chain runs in mode %s, recorded is %s", attached.Mode, s.Mode)}, nil
	}
	return nil, nil
}

func (t *tenure) pinDifferences() ([]string, error) {
	s := t.rec.State
	var list []string
	if s.Attach == chain.AttachLink {
		l, err := t.lock.OpenLink()
		switch {
		case errors.Is(err, fs.ErrNotExist):
			list = append(list, "the pin of its link is missing")
		case err != nil:
			return nil, err
		default:
			l.Close()
		}
	}
	links, err := t.linkDifferences()
	if err != nil {
		return nil, err
	}
	list = append(list, links...)
	if s.Counters {
		m, err := t.lock.OpenCounters()
		switch {
		case errors.Is(err, fs.ErrNotExist):
			list = append(list, "the pin of its counters is missing")
		case err != nil:
			return nil, err
		default:
			m.Close()
		}
	}
	for _, m := range s.Members {
		opened, err := t.lock.OpenMaps(m.Name)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		closeMaps(opened)
		for _, name := range m.Pins {
			if _, ok := opened[name]; !ok {
				list = append(list, fmt.Sprintf("the pin of map %q of member %q is missing", name, m.Name))
			}
		}
	}
	return list, nil
}
