// SPDX-License-Identifier: Apache-2.0

package change

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/xdp-chain/xdp-chain/internal/node/membermaps"

	"github.com/xdp-chain/xdp-chain/internal/config"
	"github.com/xdp-chain/xdp-chain/internal/node/resolve"
	"github.com/xdp-chain/xdp-chain/internal/node/state"
	"github.com/xdp-chain/xdp-chain/internal/record"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
	"github.com/xdp-chain/xdp-chain/pkg/dispatcher"
	"github.com/xdp-chain/xdp-chain/pkg/dispatcher/libxdp"
	"github.com/xdp-chain/xdp-chain/pkg/dispatcher/linked"
	"github.com/xdp-chain/xdp-chain/pkg/netdev"
)

// choice is the dispatcher that a chain is built with, and why it is that one.
type choice struct {
	dispatcher.Dispatcher
	why     string
	version chain.LibxdpVersion // auto for any other than libxdp
}

func chooseLinked(why string) choice { return choice{Dispatcher: linked.New(), why: why} }

func chooseLibxdp(version chain.LibxdpVersion, why string) choice {
	if version == chain.LibxdpVersionAuto {
		version = libxdp.DefaultVersion
	}
	return choice{libxdp.New(version), why, version}
}

// choose returns the dispatcher for an interface that carries no chain.
func choose(n *state.Node, requested config.Requested) (choice, error) {
	if requested.Dispatcher != chain.DispatcherLibxdp {
		why := "auto takes it wherever the members can be linked"
		if requested.Dispatcher == chain.DispatcherLinked {
			why = "asked for"
		}
		return chooseLinked(why), nil
	}
	if err := n.HaveFreplace(); err != nil {
		return choice{}, err
	}
	return chooseLibxdp(requested.LibxdpVersion, "asked for"), nil
}

// fallBack returns the dispatcher for members that cannot be linked, or the reason
// why there is none. An interface that carries a chain is no place for it: that
// stays with its dispatcher.
func fallBack(ctx context.Context, n *state.Node, requested config.Requested, members []resolve.Member, reason error) (choice, error) {
	if !errors.Is(reason, dispatcher.ErrNotLinkable) || requested.Dispatcher != chain.DispatcherAuto {
		return choice{}, reason
	}
	if err := keepsDispatcher(ctx, members, reason); err != nil {
		return choice{}, err
	}
	if requested.Attach == chain.AttachLink {
		return choice{}, fmt.Errorf("%w (dispatcher libxdp takes such members, but it is attached by netlink, and attach is link)", reason)
	}
	if err := n.HaveFreplace(); err != nil {
		return choice{}, fmt.Errorf("%w (dispatcher libxdp takes such members, but %v)", reason, err)
	}
	return chooseLibxdp(requested.LibxdpVersion, reason.Error()), nil
}

// blame says of an error why it was this dispatcher that was tried.
func (c choice) blame(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w (dispatcher %s was tried because %s)", err, c.Kind(), c.why)
}

// chooseFor returns the dispatcher for this chain. One that has members of ours stays
// with its own; one that libxdp's tools made is joined, also where ours was before they
// took it off.
func (lc *LockedChain) chooseFor(requested config.Requested, found *state.LibxdpChain) (choice, error) {
	madeAnew := lc.hasLibxdp() && found != nil && !found.HasOwn() && !found.Unpinned
	if lc.hasMembers() && !madeAnew {
		return keepDispatcher(lc.rec.State, requested)
	}
	if found == nil {
		return choose(lc.node, requested)
	}
	return lc.join(requested, found)
}

func keepDispatcher(s *record.State, requested config.Requested) (choice, error) {
	if requested.Dispatcher != chain.DispatcherAuto && requested.Dispatcher != s.Dispatcher {
		return choice{}, fmt.Errorf("%w: the chain's dispatcher is %s, and %s is asked for; a chain keeps its dispatcher: take all of its members off first",
			netdev.ErrUnsupported, s.Dispatcher, requested.Dispatcher)
	}
	if s.Dispatcher == chain.DispatcherLinked {
		return chooseLinked(s.DispatcherWhy), nil
	}
	if requested.LibxdpVersion != chain.LibxdpVersionAuto && requested.LibxdpVersion != s.LibxdpVersion {
		return choice{}, fmt.Errorf("%w: the chain speaks version %s of libxdp's protocol, and %s is asked for; a chain keeps its version: take all of its members off first",
			netdev.ErrUnsupported, s.LibxdpVersion, requested.LibxdpVersion)
	}
	return chooseLibxdp(s.LibxdpVersion, s.DispatcherWhy), nil
}

// join has the members go into the dispatcher that others made, if that can be.
func (lc *LockedChain) join(requested config.Requested, found *state.LibxdpChain) (choice, error) {
	where := fmt.Sprintf("%s carries libxdp's dispatcher (program %d, version %s)", lc.iface.Name, found.ID, found.Version)
	switch {
	case requested.Dispatcher == chain.DispatcherLinked:
		return choice{}, fmt.Errorf(`%w: %s; use dispatcher "auto" or "libxdp" to join it`, netdev.ErrBusy, where)
	case requested.Attach == chain.AttachLink:
		return choice{}, fmt.Errorf(`%w: %s, which is attached by netlink, and "link" is asked for; use attach "auto" to join it`, netdev.ErrUnsupported, where)
	case found.Version == chain.LibxdpV1:
		return choice{}, fmt.Errorf("%w: %s; it is older than what libxdp itself still changes: take it off first (xdp-loader unload %s --all)", netdev.ErrBusy, where, lc.iface.Name)
	case found.Devbound:
		return choice{}, fmt.Errorf("%w: %s, whose members are loaded for that device alone, which ours are not; take it off first (xdp-loader unload %s --all)", netdev.ErrBusy, where, lc.iface.Name)
	case found.Unpinned:
		return choice{}, fmt.Errorf("%w: %s, whose pins are gone: it lets every packet through and nobody can change it; take it off first (ip link set dev %s xdp off)", netdev.ErrBusy, where, lc.iface.Name)
	case requested.LibxdpVersion != chain.LibxdpVersionAuto && requested.LibxdpVersion != found.Version:
		return choice{}, fmt.Errorf("%w: %s, and version %s is asked for; leave libxdpVersion out to join it", netdev.ErrUnsupported, where, requested.LibxdpVersion)
	}
	if err := lc.node.HaveFreplace(); err != nil {
		return choice{}, err
	}
	why := "asked for"
	if requested.Dispatcher == chain.DispatcherAuto {
		why = "the interface carried libxdp's dispatcher, which the members joined"
	}
	return chooseLibxdp(found.Version, why), nil
}

// keepsDispatcher returns nil unless it is on account of what a pod asked for that the
// network's own members would have to go into libxdp's dispatcher: that is attached by
// netlink, so that root in the pod could take it off, which a link does not let happen,
// and it counts nothing. The reason is why the members cannot be linked.
func keepsDispatcher(ctx context.Context, members []resolve.Member, reason error) error {
	own, fromAnnotation := resolve.SplitByOrigin(members)
	if len(own) == 0 || len(fromAnnotation) == 0 {
		return nil
	}
	switch _, err := tryWith(ctx, chooseLinked(""), own, dispatcher.Options{}); {
	case errors.Is(err, dispatcher.ErrNotLinkable):
		return nil // they have nothing to lose
	case err != nil:
		return err
	}
	return fmt.Errorf(`%w: what the pod's annotation names cannot be linked with the network's own programs, and dispatcher libxdp counts nothing and is held by netlink, which root in the pod can undo: %w; give the network dispatcher "libxdp" if that may be`,
		config.ErrPolicy, reason)
}

// keepsNative tells whether a chain may not go from native mode to generic for the sake of
// the MTU: where the network's own members take packets of several buffers, that would be
// the doing of what the pod asked for, and what tc has redirected goes past a generic
// program (netif_receive_generic_xdp in the kernel's net/core/dev.c).
func keepsNative(ctx context.Context, c choice, p *plan, built *dispatcher.Built) (bool, error) {
	if p.requested.Mode != chain.ModeAuto || built.Frags {
		return false, nil
	}
	oneBuffer := func(w resolve.Member) bool { return !w.Program.Frags }
	own, fromAnnotation := resolve.SplitByOrigin(p.members)
	if len(own) == 0 || slices.ContainsFunc(own, oneBuffer) || !slices.ContainsFunc(fromAnnotation, oneBuffer) {
		return false, nil
	}
	// The kernel may know of no such packets; then it is not the pod's doing either.
	return tryWith(ctx, c, own, dispatcher.Options{})
}

// checkCount refuses a chain that its dispatcher cannot call, before anything is made.
func checkCount(list []resolve.Member, c choice, found *state.LibxdpChain) error {
	others := len(found.Others())
	if others > 0 && len(list)+others > c.MaxMembers() {
		return fmt.Errorf("%w: the chain would have %d, of them %d that libxdp's tools put there; libxdp's dispatcher calls at most %d: take some off",
			chain.ErrTooManyMembers, len(list)+others, others, c.MaxMembers())
	}
	members := make([]chain.Member, 0, len(list))
	for _, w := range list {
		members = append(members, w.Record.Member)
	}
	return chain.CheckMembers(members, c.MaxMembers())
}

// CheckCount refuses members that no dispatcher of the kind calls; auto stands for linked.
func CheckCount(members []resolve.Member, kind chain.Dispatcher) error {
	c := chooseLinked("")
	if kind == chain.DispatcherLibxdp {
		c = chooseLibxdp(chain.LibxdpVersionAuto, "")
	}
	return checkCount(members, c, nil)
}

// TryBuild builds a chain as an interface that carries none would get it, and lets it
// go.
func TryBuild(ctx context.Context, n *state.Node, requested config.Requested, list []resolve.Member, opts dispatcher.Options) error {
	c, err := choose(n, requested)
	if err != nil {
		return err
	}
	_, err = tryWith(ctx, c, list, opts)
	if err == nil {
		return nil
	}
	if c, err = fallBack(ctx, n, requested, list, err); err != nil {
		return err
	}
	_, err = tryWith(ctx, c, list, opts)
	return c.blame(err)
}

// tryWith builds a chain with one dispatcher, and lets it go. It tells whether the chain
// takes packets of several buffers.
func tryWith(ctx context.Context, c choice, list []resolve.Member, opts dispatcher.Options) (frags bool, err error) {
	members := make([]dispatcher.Member, 0, len(list))
	for _, w := range list {
		pinned, err := membermaps.Pinned(&w)
		if err != nil {
			return false, fmt.Errorf("program %q: %w", w.Record.Name, err)
		}
		defer state.CloseMaps(pinned)
		members = append(members, dispatcher.Member{Member: w.Record.Member, Spec: w.Program.Spec, Maps: pinned})
	}
	if err := checkCount(list, c, nil); err != nil {
		return false, err
	}
	// There is no interface yet whose namespace could have those of devmaps' entries.
	opts.InNetNS = func(func() error) error { return nil }
	built, err := c.Build(ctx, members, opts)
	if err != nil {
		return false, err
	}
	frags = built.Frags
	return frags, built.Close()
}
