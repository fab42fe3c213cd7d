// SPDX-License-Identifier: Apache-2.0

package node

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/xdp-chain/xdp-chain/internal/record"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
	"github.com/xdp-chain/xdp-chain/pkg/netdev"
	"github.com/xdp-chain/xdp-chain/pkg/pin"
)

// Members that an operator puts into chains by hand have the owner cli. They are in no
// index: their ids, and their records, are all that leads to them.

var (
	// ErrNoMember is wrapped by every error about a member that is in no chain of the node.
	ErrNoMember = errors.New("no such member")
	// ErrOthers is wrapped by every error about a member that is others' to remove.
	ErrOthers = errors.New("the member belongs to others")
)

var byHand = record.Owner{Kind: record.OwnerCLI}

// Place is an interface on this machine.
type Place struct {
	// NetNS is a path of its network namespace; empty is the process's own.
	NetNS     string
	Interface string
}

// open finds the interface. The caller closes its namespace.
func (p Place) open() (*netdev.Interface, error) {
	open := netdev.CurrentNetNS
	if p.NetNS != "" {
		open = func() (*netdev.NetNS, error) { return netdev.OpenNetNS(p.NetNS) }
	}
	ns, err := open()
	if err != nil {
		return nil, err
	}
	iface, err := ns.InterfaceByName(p.Interface)
	if err != nil {
		ns.Close()
	}
	return iface, err
}

// find looks for members by their ids, and returns the record of each one's chain. One that
// no chain has satisfies errors.Is(err, [ErrNoMember]).
func (n *Node) find(ids ...record.ID) ([]*record.Record, error) {
	records, unreadable := n.records()
	found := make([]*record.Record, len(ids))
	var errs []error
	for i, id := range ids {
		at := slices.IndexFunc(records, func(rec *record.Record) bool { return indexOf(rec.State.Members, id) >= 0 })
		if at < 0 {
			errs = append(errs, fmt.Errorf("%w: no member has id %d", ErrNoMember, id))
			continue
		}
		found[i] = records[at]
	}
	if len(errs) > 0 {
		errs = append(errs, unreadable) // it may be in one of those
	}
	return found, errors.Join(errs...)
}

func indexOf(members []record.Member, id record.ID) int {
	return slices.IndexFunc(members, func(m record.Member) bool { return m.ID == id && id != 0 })
}

// memberByID finds a member of the running generation; nil where it has left.
func (t *tenure) memberByID(id record.ID) *record.Member {
	if t.rec == nil || t.rec.State == nil {
		return nil
	}
	i := indexOf(t.rec.State.Members, id)
	if i < 0 {
		return nil
	}
	return &t.rec.State.Members[i]
}

// mayTake returns nil for members that are the operator's to remove, or all if forced.
func mayTake(m record.Member, force bool) error {
	if force || m.Owner.Kind == record.OwnerCLI {
		return nil
	}
	pod := ""
	if m.Owner.PodName != "" {
		pod = fmt.Sprintf(" of pod %s/%s", m.Owner.PodNamespace, m.Owner.PodName)
	}
	return fmt.Errorf("%w: member %d (%s) came with network %q%s, whose DEL removes it; CHECK would miss it", ErrOthers, m.ID, m.Name, m.Owner.Network, pod)
}

// freeName makes a member's name of a function's that no member has.
func freeName(function string, members []record.Member) string {
	base := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z' || r >= '0' && r <= '9':
			return r
		case r >= 'A' && r <= 'Z':
			return r - 'A' + 'a'
		}
		return '-'
	}, function)
	const room = len("-2147483647")
	base = cmp.Or(strings.Trim(base[:min(len(base), chain.MaxNameLength-room)], "-"), "program")
	taken := func(name string) bool {
		return slices.ContainsFunc(members, func(m record.Member) bool { return m.Name == name })
	}
	name := base
	for i := 2; taken(name); i++ {
		name = fmt.Sprintf("%s-%d", base, i)
	}
	return name
}

// holdPlace holds the chain of an interface, recorded or not. The caller closes the
// interface's namespace after releasing the tenure.
func (n *Node) holdPlace(ctx context.Context, iface *netdev.Interface) (*tenure, error) {
	if err := n.ensureLasting(); err != nil {
		return nil, err
	}
	return n.hold(ctx, iface.Key(), iface)
}

// ensureLasting makes sure of a bpffs that outlives this process. `ip netns exec` gives a
// command a /sys of its own, without the machine's bpffs: one that was mounted there would
// go with the command, and the chain with it.
func (n *Node) ensureLasting() error {
	mounted, err := n.BPFFS.Mounted()
	if err != nil || mounted {
		return n.BPFFS.Ensure()
	}
	if !netdev.InFirst() {
		return fmt.Errorf("%w at %s, and this process is in a network namespace that it was started in, as by ip netns exec, whose /sys may go with it: start it outside, and name the namespace", pin.ErrNoBPFFS, n.BPFFS.Root)
	}
	return n.BPFFS.Ensure()
}

// holdByHand holds the chain of a key for a change by hand, which needs its interface.
func (n *Node) holdByHand(ctx context.Context, key chain.Key) (*tenure, error) {
	t, err := n.hold(ctx, key, nil)
	if err != nil {
		return nil, err
	}
	if t.rec != nil && t.iface == nil {
		err = t.seek()
	} else if t.rec != nil && !t.moved() {
		err = t.refresh()
	}
	if err != nil {
		t.release()
		return nil, fmt.Errorf("chain %s: %w", key, err)
	}
	return t, nil
}

// refresh notes where the interface is now and what it is called, for the change that is
// to come to save: it may have been renamed, and the recorded path of its namespace may be
// a process's that has ended.
func (t *tenure) refresh() error {
	t.rec.Interface = t.iface.Name
	found, err := reopen(t.rec)
	if found != nil {
		return found.NetNS.Close()
	}
	if err == nil {
		t.rec.NetNS, err = t.iface.NetNS.LastingPath()
	}
	return err
}
