// SPDX-License-Identifier: Apache-2.0

package node

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/cilium/ebpf"

	"github.com/xdp-chain/xdp-chain/internal/catalog"
	"github.com/xdp-chain/xdp-chain/internal/config"
	"github.com/xdp-chain/xdp-chain/internal/record"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
	"github.com/xdp-chain/xdp-chain/pkg/netdev"
	"github.com/xdp-chain/xdp-chain/pkg/object"
)

// MaxMetadata is how large a member's metadata may be, in bytes of keys and values.
const MaxMetadata = 4096

// Load is what an operator wants to have in a chain.
type Load struct {
	Place
	// Program is the program. Its side and band mean nothing; without a name it gets one
	// made of its function's.
	Program config.Program
	// Entry is the catalog entry it comes from, where it has no object of its own.
	Entry   string
	Catalog *catalog.Catalog // nil has the built-in programs
	// Mode, Attach, Dispatcher and LibxdpVersion leave a chain that there is as it is
	// where they are auto. A version that would say nothing, as the chain's dispatcher is
	// linked or comes to be, is refused.
	Mode          chain.Mode
	Attach        chain.Attach
	Dispatcher    chain.Dispatcher
	LibxdpVersion chain.LibxdpVersion
	// Metadata is for people; see MaxMetadata.
	Metadata map[string]string
}

// Load puts a member of owner cli into the chain of an interface, which it makes where
// there is none, and returns it. All that runs already goes on, in one swap. A name that
// a member of the chain has is an error that satisfies errors.Is(err, [chain.ErrInvalid]);
// others are those of [Node.Apply].
//
// Dies anywhere: the chain is the one that was or the one that is to be.
func (n *Node) Load(ctx context.Context, l Load) (ChainMember, error) {
	if err := l.check(); err != nil {
		return ChainMember{}, err
	}
	iface, err := l.open()
	if err != nil {
		return ChainMember{}, err
	}
	defer iface.NetNS.Close()
	w, err := l.resolve(iface)
	if err != nil {
		return ChainMember{}, err
	}
	t, err := n.holdPlace(ctx, iface)
	if err != nil {
		return ChainMember{}, err
	}
	defer t.release()
	if err := n.Store.Put(w.object); err != nil {
		return ChainMember{}, err
	}
	if err := t.addMember(ctx, &l, w); err != nil {
		return ChainMember{}, fmt.Errorf("chain on %s: %w", iface.Name, err)
	}
	return t.shownMember(w.Name)
}

func (l *Load) check() error {
	size := 0
	for key, value := range l.Metadata {
		if key == "" {
			return fmt.Errorf("%w: metadata %q has no key", chain.ErrInvalid, value)
		}
		size += len(key) + len(value)
	}
	if size > MaxMetadata {
		return fmt.Errorf("%w: metadata of %d bytes; at most %d are possible", chain.ErrInvalid, size, MaxMetadata)
	}
	if l.LibxdpVersion == chain.LibxdpV1 {
		return fmt.Errorf("%w: version 1 of libxdp's protocol is only read, where it is found on an interface; use 2 or 3", chain.ErrInvalid)
	}
	if l.Dispatcher == chain.DispatcherLinked && l.LibxdpVersion != chain.LibxdpVersionAuto {
		return errVersionOfLinked(l.LibxdpVersion)
	}
	if l.Program.Name != "" {
		return chain.CheckName(l.Program.Name)
	}
	return nil
}

func errVersionOfLinked(version chain.LibxdpVersion) error {
	return fmt.Errorf(`%w: version %s of libxdp's protocol says nothing about dispatcher "linked"; leave it out, or use dispatcher "libxdp"`, chain.ErrInvalid, version)
}

// resolve settles the member, all but a name that nobody gave.
func (l *Load) resolve(iface *netdev.Interface) (*wanted, error) {
	p := l.Program
	p.Name = cmp.Or(l.Entry, p.Name, "program") // the catalog goes by it
	w, err := newResolver(l.Catalog).one(p, byHand, onlyInterface(iface))
	if err != nil {
		return nil, err
	}
	w.Name, w.Metadata = l.Program.Name, l.Metadata
	return &w, nil
}

// onlyInterface is what is known of a pod by its interface alone, for placeholders.
func onlyInterface(iface *netdev.Interface) object.Pod {
	return object.Pod{Ifindex: iface.Index, MAC: iface.HardwareAddr}
}

// addMember changes the chain to one that has the member, too.
func (t *tenure) addMember(ctx context.Context, l *Load, w *wanted) error {
	err := t.refreshOrBegin()
	if err != nil {
		return err
	}
	p, err := t.planWhere(func(record.Member) bool { return true })
	if err != nil {
		return err
	}
	members := recorded(p.members)
	if i := slices.IndexFunc(members, func(m record.Member) bool { return m.Name == w.Name }); i >= 0 {
		return fmt.Errorf("%w: member %d is called %q already; replace that one, or take another name", chain.ErrInvalid, members[i].ID, w.Name)
	}
	w.Name = cmp.Or(w.Name, freeName(cmp.Or(l.Entry, w.Function), members))
	p.members = append(p.members, *w)
	if !t.hasMembers() { // what others asked for who have left means nothing
		p.requested, p.counters = record.Requested{}, true
	}
	l.wish(&p.requested)
	p.named = l.LibxdpVersion
	err = t.change(ctx, p)
	if err != nil && t.rec.State == nil {
		return errors.Join(err, t.remove(ctx))
	}
	if err != nil {
		return err
	}
	return t.checkReaches(ctx, w.Name)
}

// checkReaches takes a member off again, and maps that were made for it, where the other end
// does not take what the chain transmits on its account.
func (t *tenure) checkReaches(ctx context.Context, name string) error {
	m := t.member(name, byHand)
	if !m.Transmits {
		return nil
	}
	lost, err := t.peerDifferences()
	if err == nil && len(lost) > 0 {
		err = fmt.Errorf("%w: %s", ebpf.ErrNotSupported, strings.Join(lost, "; "))
	}
	if err != nil {
		err = errors.Join(err, t.take(ctx, func(other record.Member) bool { return other.ID == m.ID }), t.node.dropHandMaps(ctx))
	}
	return err
}

// refreshOrBegin begins the record of a chain that there was none of, and of any other sees
// to it that it says where the interface is. A chain that runs and has lost its record keeps
// its members, whoever they are.
func (t *tenure) refreshOrBegin() error {
	if t.rec != nil {
		return t.refresh()
	}
	alive, err := t.node.linkAlive(t.lock.Key())
	if err == nil && alive {
		err = fmt.Errorf("%w: a chain runs whose record is lost, and with that who its members are; take it off first: unload all of them by force", netdev.ErrBusy)
	}
	if err != nil {
		return err
	}
	if err := t.mayRecord(byHand); err != nil {
		return err
	}
	path, err := t.iface.NetNS.LastingPath()
	if err != nil {
		return err
	}
	side := config.PodSide
	if path == netdev.CurrentPath {
		side = config.HostSide
	}
	t.rec = &record.Record{
		Version: record.Version, Key: t.iface.Key(), Interface: t.iface.Name,
		NetNS: path, Side: side, Created: time.Now().UTC(),
	}
	return nil
}

// wish writes down what is asked for of the chain; auto asks for nothing.
func (l *Load) wish(r *record.Requested) {
	r.Mode = cmp.Or(l.Mode, r.Mode)
	r.Attach = cmp.Or(l.Attach, r.Attach)
	r.Dispatcher = cmp.Or(l.Dispatcher, r.Dispatcher)
	r.LibxdpVersion = cmp.Or(l.LibxdpVersion, r.LibxdpVersion)
}

func recorded(members []wanted) []record.Member {
	list := make([]record.Member, len(members))
	for i, w := range members {
		list[i] = w.Member
	}
	return list
}
