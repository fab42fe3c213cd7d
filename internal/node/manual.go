// SPDX-License-Identifier: Apache-2.0

package node

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/xdp-chain/xdp-chain/internal/catalog"
	"github.com/xdp-chain/xdp-chain/internal/config"
	"github.com/xdp-chain/xdp-chain/internal/node/change"
	"github.com/xdp-chain/xdp-chain/internal/node/inspect"
	"github.com/xdp-chain/xdp-chain/internal/node/resolve"
	"github.com/xdp-chain/xdp-chain/internal/node/state"
	"github.com/xdp-chain/xdp-chain/internal/record"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
	"github.com/xdp-chain/xdp-chain/pkg/netdev"
)

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
	// Requested leaves a chain that there is as it is where it is auto. A version that would
	// say nothing, as the chain's dispatcher is linked or comes to be, is refused.
	config.Requested
	// Metadata is for people; see MaxMetadata.
	Metadata map[string]string
}

// Load puts a member of owner cli into the chain of an interface, which it makes where
// there is none, and returns it. All that runs already goes on, in one swap. A name that
// a member of the chain has is an error that satisfies errors.Is(err, [chain.ErrInvalid]);
// others are those of [Node.Apply].
//
// Dies anywhere: the chain is the one that was or the one that is to be.
func (n *Node) Load(ctx context.Context, l Load) (inspect.Member, error) {
	if err := l.check(); err != nil {
		return inspect.Member{}, err
	}
	iface, err := l.open()
	if err != nil {
		return inspect.Member{}, err
	}
	defer iface.NetNS.Close()
	w, err := l.resolve(iface)
	if err != nil {
		return inspect.Member{}, err
	}
	lc, err := change.LockInterface(ctx, n.Node, iface)
	if err != nil {
		return inspect.Member{}, err
	}
	defer lc.Unlock()
	if err := n.Store.Put(w.Object); err != nil {
		return inspect.Member{}, err
	}
	if err := lc.AddManual(ctx, w, l.Entry, l.Requested); err != nil {
		return inspect.Member{}, fmt.Errorf("chain on %s: %w", iface.Name, err)
	}
	return inspect.MemberNamed(n.Node, lc.Record(), w.Record.Name)
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
		return change.ErrVersionOfLinked(l.LibxdpVersion)
	}
	if l.Program.Name != "" {
		return chain.CheckName(l.Program.Name)
	}
	return nil
}

// resolve settles the member, all but a name that nobody gave.
func (l *Load) resolve(iface *netdev.Interface) (*resolve.Member, error) {
	p := l.Program
	p.Name = cmp.Or(l.Entry, p.Name, "program") // the catalog goes by it
	w, err := resolve.NewResolver(l.Catalog).Member(p, state.ManualOwner, change.PodOf(iface))
	if err != nil {
		return nil, err
	}
	w.Record.Name, w.Record.Metadata = l.Program.Name, l.Metadata
	return &w, nil
}

// Unload takes members out of their chains, each chain in one swap, and a chain down
// with its last member. An id that no member has satisfies errors.Is(err, [state.ErrNoMember]);
// a member that came with a CNI attachment is taken only if forced, else
// errors.Is(err, [change.ErrOthers]), and then nothing is taken at all. Of an attachment whose
// member was taken [Node.Check] says so.
//
// Dies anywhere: each chain is the one that was or the one that is to be.
func (n *Node) Unload(ctx context.Context, force bool, ids ...record.ID) error {
	byChain := make(map[chain.Key][]record.ID)
	var keys []chain.Key // in the order of the ids
	found, err := n.FindMembers(ids...)
	errs := []error{err}
	for i, rec := range found {
		if rec == nil {
			continue
		}
		errs = append(errs, change.MayRemove(*rec.State.MemberByID(ids[i]), force))
		if byChain[rec.Key] == nil {
			keys = append(keys, rec.Key)
		}
		byChain[rec.Key] = append(byChain[rec.Key], ids[i])
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	for _, key := range keys {
		errs = append(errs, n.unload(ctx, key, force, byChain[key]))
	}
	return errors.Join(append(errs, n.DropManualMaps(ctx))...)
}

// UnloadAll takes all members of owner cli out of an interface's chain, and if forced
// those of CNI attachments, too, also where the chain's record is lost. It returns the ids
// of those that it took; with none to be taken, errors.Is(err, [state.ErrNoMember]).
func (n *Node) UnloadAll(ctx context.Context, place Place, force bool) ([]record.ID, error) {
	iface, err := place.open()
	if err != nil {
		return nil, err
	}
	defer iface.NetNS.Close()
	lc, err := change.LockInterface(ctx, n.Node, iface)
	if err != nil {
		return nil, err
	}
	defer lc.Unlock()
	taken, err := lc.RemoveAll(ctx, force)
	if err != nil {
		return nil, fmt.Errorf("unload all of %s: %w", iface.Name, err)
	}
	return taken, n.DropManualMaps(ctx)
}

func (n *Node) unload(ctx context.Context, key chain.Key, force bool, ids []record.ID) error {
	lc, err := change.LockLocated(ctx, n.Node, key)
	if err != nil {
		return err
	}
	defer lc.Unlock()
	return lc.RemoveMembers(ctx, force, ids)
}

// Replace gives a member another program, in one swap, and returns it. It keeps its id,
// its name, its place in the chain and its counts. Its maps are kept where the new program has some
// of the same name and shape, all but global variables; what was set for the member is set again.
// Errors are those of [Node.Unload] and of [Node.Load].
//
// Dies anywhere: the member runs the old program or the new one.
func (n *Node) Replace(ctx context.Context, id record.ID, r resolve.Replacement) (inspect.Member, error) {
	found, err := n.FindMembers(id)
	if err != nil {
		return inspect.Member{}, err
	}
	key, member := found[0].Key, *found[0].State.MemberByID(id)
	if err := change.MayRemove(member, r.Force); err != nil {
		return inspect.Member{}, err
	}
	lc, err := change.LockLocated(ctx, n.Node, key)
	if err != nil {
		return inspect.Member{}, err
	}
	defer lc.Unlock()
	if err := lc.Replace(ctx, id, &r); err != nil {
		return inspect.Member{}, fmt.Errorf("member %d (%s) of chain %s: %w", id, member.Name, key, err)
	}
	return inspect.MemberNamed(n.Node, lc.Record(), member.Name)
}
