// SPDX-License-Identifier: Apache-2.0

package change

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/cilium/ebpf"

	"github.com/xdp-chain/xdp-chain/internal/config"
	"github.com/xdp-chain/xdp-chain/internal/node/resolve"
	"github.com/xdp-chain/xdp-chain/internal/node/state"
	"github.com/xdp-chain/xdp-chain/internal/record"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
	"github.com/xdp-chain/xdp-chain/pkg/netdev"
	"github.com/xdp-chain/xdp-chain/pkg/object"
	"github.com/xdp-chain/xdp-chain/pkg/pin"
)

// ErrOthers is wrapped by every error about a member that is others' to remove.
var ErrOthers = errors.New("the member belongs to others")

// MayRemove returns nil for members that are the operator's to remove, or all if forced.
func MayRemove(m record.Member, force bool) error {
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

// LockInterface locks the chain of an interface, recorded or not. The caller closes the
// interface's namespace after unlocking the chain.
func LockInterface(ctx context.Context, n *state.Node, iface *netdev.Interface) (*LockedChain, error) {
	if err := ensureLasting(n); err != nil {
		return nil, err
	}
	return Lock(ctx, n, iface.Key(), iface)
}

// ensureLasting makes sure of a bpffs that outlives this process. `ip netns exec` gives a
// command a /sys of its own, without the machine's bpffs: one that was mounted there would
// go with the command, and the chain with it.
func ensureLasting(n *state.Node) error {
	mounted, err := n.BPFFS.Mounted()
	if err != nil || mounted {
		return n.BPFFS.Ensure()
	}
	if !netdev.InFirst() {
		return fmt.Errorf("%w at %s, and this process is in a network namespace that it was started in, as by ip netns exec, whose /sys may go with it: start it outside, and name the namespace", pin.ErrNoBPFFS, n.BPFFS.Root)
	}
	return n.BPFFS.Ensure()
}

// LockLocated locks the chain of a key for a manual change, which needs its interface.
func LockLocated(ctx context.Context, n *state.Node, key chain.Key) (*LockedChain, error) {
	lc, err := Lock(ctx, n, key, nil)
	if err != nil {
		return nil, err
	}
	if lc.rec != nil && lc.iface == nil {
		err = lc.seek()
	} else if lc.rec != nil && !lc.moved() {
		err = lc.refresh()
	}
	if err != nil {
		lc.Unlock()
		return nil, fmt.Errorf("chain %s: %w", key, err)
	}
	return lc, nil
}

// AddManual changes the chain to one that has the member of owner cli, too. One without a name
// is called after the catalog entry, if it comes from one, or else after its function. What is
// requested as auto leaves a chain that there is as it is. A name that a member of the chain has
// is an error that satisfies errors.Is(err, [chain.ErrInvalid]).
//
// Dies anywhere: the chain is the one that was or the one that is to be.
func (lc *LockedChain) AddManual(ctx context.Context, w *resolve.Member, entry string, requested config.Requested) error {
	err := lc.refreshOrBegin()
	if err != nil {
		return err
	}
	p, err := lc.planWhere(func(record.Member) bool { return true })
	if err != nil {
		return err
	}
	members := resolve.Records(p.members)
	if i := slices.IndexFunc(members, func(m record.Member) bool { return m.Name == w.Record.Name }); i >= 0 {
		return fmt.Errorf("%w: member %d is called %q already; replace that one, or take another name", chain.ErrInvalid, members[i].ID, w.Record.Name)
	}
	w.Record.Name = cmp.Or(w.Record.Name, freeName(cmp.Or(entry, w.Record.Function), members))
	p.members = append(p.members, *w)
	if !lc.hasMembers() { // what others asked for who have left means nothing
		p.requested, p.counters = config.Requested{}, true
	}
	p.requested = requested.Or(p.requested)
	p.named = requested.LibxdpVersion
	err = lc.change(ctx, p)
	if err != nil && lc.rec.State == nil {
		return errors.Join(err, lc.remove(ctx))
	}
	if err != nil {
		return err
	}
	return lc.checkTransmitted(ctx, w.Record.Name)
}

// checkTransmitted takes a member off again, and maps that were made for it, where the other end
// does not take what the chain transmits on its account.
func (lc *LockedChain) checkTransmitted(ctx context.Context, name string) error {
	m := lc.state().Member(name, state.ManualOwner)
	if !m.Transmits {
		return nil
	}
	lost, err := lc.peerDifferences()
	if err == nil && len(lost) > 0 {
		err = fmt.Errorf("%w: %s", ebpf.ErrNotSupported, strings.Join(lost, "; "))
	}
	if err != nil {
		err = errors.Join(err, lc.removeMembers(ctx, func(other record.Member) bool { return other.ID == m.ID }), lc.node.DropManualMaps(ctx))
	}
	return err
}

// refreshOrBegin begins the record of a chain that there was none of, and of any other sees
// to it that it says where the interface is. A chain that runs and has lost its record keeps
// its members, whoever they are.
func (lc *LockedChain) refreshOrBegin() error {
	if lc.rec != nil {
		return lc.refresh()
	}
	alive, err := lc.node.LinkAlive(lc.lock.Key())
	if err == nil && alive {
		err = fmt.Errorf("%w: a chain runs whose record is lost, and with that who its members are; take it off first: unload all of them by force", netdev.ErrBusy)
	}
	if err != nil {
		return err
	}
	if err := lc.mayRecord(state.ManualOwner); err != nil {
		return err
	}
	path, err := lc.iface.NetNS.LastingPath()
	if err != nil {
		return err
	}
	side := config.PodSide
	if path == netdev.CurrentPath {
		side = config.HostSide
	}
	lc.beginRecord(path, side)
	return nil
}

// RemoveMembers takes members out of the chain, in one swap, and the chain down with its last
// member: those of owner cli, and all others only if forced.
func (lc *LockedChain) RemoveMembers(ctx context.Context, force bool, ids []record.ID) error {
	key := lc.lock.Key()
	for _, id := range ids { // it may have changed until it was held
		member := lc.state().MemberByID(id)
		if member == nil {
			return fmt.Errorf("%w: member %d has left chain %s meanwhile", state.ErrNoMember, id, key)
		}
		if err := MayRemove(*member, force); err != nil {
			return err
		}
	}
	if err := lc.removeMembers(ctx, func(m record.Member) bool { return slices.Contains(ids, m.ID) }); err != nil {
		return fmt.Errorf("chain %s: %w", key, err)
	}
	return nil
}

// RemoveAll takes all members of owner cli out of the chain, and if forced all others, and
// returns the ids of those that it took.
func (lc *LockedChain) RemoveAll(ctx context.Context, force bool) ([]record.ID, error) {
	if lc.rec == nil || lc.rec.State == nil {
		return nil, lc.removeAllUnrecorded(ctx, force)
	}
	var taken []record.ID
	kept := 0
	for _, m := range lc.rec.State.Members {
		if MayRemove(m, force) == nil {
			taken = append(taken, m.ID)
		} else {
			kept++
		}
	}
	switch {
	case len(taken) == 0 && kept > 0:
		return nil, fmt.Errorf("%w: all members (%d) of the chain came with CNI networks, whose DEL removes them; CHECK would miss them", ErrOthers, kept)
	case len(taken) == 0:
		return nil, fmt.Errorf("%w: no member of the chain is xdp-chain's", state.ErrNoMember)
	}
	return taken, lc.removeMembers(ctx, func(m record.Member) bool { return slices.Contains(taken, m.ID) })
}

// removeAllUnrecorded takes down a chain of which it is not known who its members are, if that
// is forced, and what a killed process left of a chain that never came to run.
func (lc *LockedChain) removeAllUnrecorded(ctx context.Context, force bool) error {
	alive, err := lc.node.LinkAlive(lc.lock.Key())
	switch {
	case err != nil:
		return err
	case alive && force:
		return lc.remove(ctx)
	case alive:
		return fmt.Errorf("%w: the record of the chain is lost, so that whose its members are cannot be told", ErrOthers)
	case lc.rec != nil:
		err = lc.remove(ctx)
	default: // a file that was to become its first record
		err = lc.node.Records.Remove(lc.lock, lc.lock.Key())
	}
	return errors.Join(fmt.Errorf("%w: the interface carries no chain", state.ErrNoMember), err)
}

// removeMembers takes members out of the chain, which goes with the last of them.
func (lc *LockedChain) removeMembers(ctx context.Context, goes func(record.Member) bool) error {
	return retryRaced(func() error { return lc.tryRemoveMembers(ctx, goes) })
}

func (lc *LockedChain) tryRemoveMembers(ctx context.Context, goes func(record.Member) bool) error {
	shared, err := lc.sharedWithLibxdp()
	if err != nil {
		return err
	}
	stays := func(m record.Member) bool { return !goes(m) }
	if !slices.ContainsFunc(lc.rec.State.Members, stays) && !shared {
		return lc.remove(ctx)
	}
	if err := lc.reachable(); errors.Is(err, netdev.ErrNoInterface) {
		return lc.remove(ctx) // the others' members are gone, too
	} else if err != nil {
		return err
	}
	p, err := lc.planWhere(stays)
	if err == nil {
		err = lc.change(ctx, p)
	}
	if errors.Is(err, errNobodyLeft) {
		return lc.remove(ctx)
	}
	return err
}

// Replace gives a member another program, in one swap.
func (lc *LockedChain) Replace(ctx context.Context, id record.ID, r *resolve.Replacement) error {
	member := lc.state().MemberByID(id)
	if member == nil {
		return fmt.Errorf("%w: it has left meanwhile", state.ErrNoMember)
	}
	if err := lc.reachable(); err != nil {
		return err
	}
	old := *member
	if err := MayRemove(old, r.Force); err != nil {
		return err
	}
	w, err := r.Member(&old, PodOf(lc.iface))
	if err != nil {
		return err
	}
	if err := lc.node.Store.Put(w.Object); err != nil {
		return err
	}
	p, err := lc.planWhere(func(m record.Member) bool { return m.ID != id })
	if err != nil {
		return err
	}
	p.members = append(p.members, *w)
	if err := lc.mayTransmit(p.sorted()); err != nil {
		return err
	}
	return lc.change(ctx, p)
}

// PodOf is what is known of a pod by its interface alone, for placeholders.
func PodOf(iface *netdev.Interface) object.Pod {
	return object.Pod{Ifindex: iface.Index, MAC: iface.HardwareAddr}
}

// mayTransmit returns nil where the other end would take what the chain transmits if it had
// these members: before the swap, since what is swapped out has lost maps by then.
func (lc *LockedChain) mayTransmit(members []record.Member) error {
	next := *lc.rec.State
	next.Members = members
	peer, err := lc.peerWithoutNAPI(&next)
	if peer == "" || err != nil {
		return err
	}
	return fmt.Errorf("%w: it transmits, and %s, the other end, %s", ebpf.ErrNotSupported, peer, withoutProgram)
}

// ErrVersionOfLinked is the error of naming a version of libxdp's protocol for a chain that is
// linked.
func ErrVersionOfLinked(version chain.LibxdpVersion) error {
	return fmt.Errorf(`%w: version %s of libxdp's protocol says nothing about dispatcher "linked"; leave it out, or use dispatcher "libxdp"`, chain.ErrInvalid, version)
}
