// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"errors"
	"fmt"

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
func (n *Node) choose(asked record.Requested) (choice, error) {
	if asked.Dispatcher != chain.DispatcherLibxdp {
		why := "auto takes it wherever the members can be linked"
		if asked.Dispatcher == chain.DispatcherLinked {
			why = "asked for"
		}
		return chooseLinked(why), nil
	}
	if err := n.haveFreplace(); err != nil {
		return choice{}, err
	}
	return chooseLibxdp(asked.LibxdpVersion, "asked for"), nil
}

// fallBack returns the dispatcher for members that cannot be linked, or the reason
// why there is none. An interface that carries a chain is no place for it: that
// stays with its dispatcher.
func (n *Node) fallBack(ctx context.Context, asked record.Requested, members []wanted, reason error) (choice, error) {
	if !errors.Is(reason, dispatcher.ErrNotLinkable) || asked.Dispatcher != chain.DispatcherAuto {
		return choice{}, reason
	}
	if err := keepsDispatcher(ctx, members, reason); err != nil {
		return choice{}, err
	}
	if asked.Attach == chain.AttachLink {
		return choice{}, fmt.Errorf("%w (dispatcher libxdp takes such members, but it is attached by netlink, and attach is link)", reason)
	}
	if err := n.haveFreplace(); err != nil {
		return choice{}, fmt.Errorf("%w (dispatcher libxdp takes such members, but %v)", reason, err)
	}
	return chooseLibxdp(asked.LibxdpVersion, reason.Error()), nil
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
func (t *tenure) chooseFor(asked record.Requested, found *libxdpChain) (choice, error) {
	madeAnew := t.hasLibxdp() && found != nil && !found.hasOwn() && !found.unpinned
	if t.hasMembers() && !madeAnew {
		return keepDispatcher(t.rec.State, asked)
	}
	if found == nil {
		return t.node.choose(asked)
	}
	return t.join(asked, found)
}

func keepDispatcher(s *record.State, asked record.Requested) (choice, error) {
	if asked.Dispatcher != chain.DispatcherAuto && asked.Dispatcher != s.Dispatcher {
		return choice{}, fmt.Errorf("%w: the chain's dispatcher is %s, and %s is asked for; a chain keeps its dispatcher: take all of its members off first",
			netdev.ErrUnsupported, s.Dispatcher, asked.Dispatcher)
	}
	if s.Dispatcher == chain.DispatcherLinked {
		return chooseLinked(s.DispatcherWhy), nil
	}
	if asked.LibxdpVersion != chain.LibxdpVersionAuto && asked.LibxdpVersion != s.LibxdpVersion {
		return choice{}, fmt.Errorf("%w: the chain speaks version %s of libxdp's protocol, and %s is asked for; a chain keeps its version: take all of its members off first",
			netdev.ErrUnsupported, s.LibxdpVersion, asked.LibxdpVersion)
	}
	return chooseLibxdp(s.LibxdpVersion, s.DispatcherWhy), nil
}

// join has the members go into the dispatcher that others made, if that can be.
func (t *tenure) join(asked record.Requested, found *libxdpChain) (choice, error) {
	where := fmt.Sprintf("%s carries libxdp's dispatcher (program %d, version %s)", t.iface.Name, found.id, found.version)
	switch {
	case asked.Dispatcher == chain.DispatcherLinked:
		return choice{}, fmt.Errorf(`%w: %s; use dispatcher "auto" or "libxdp" to join it`, netdev.ErrBusy, where)
	case asked.Attach == chain.AttachLink:
		return choice{}, fmt.Errorf(`%w: %s, which is attached by netlink, and "link" is asked for; use attach "auto" to join it`, netdev.ErrUnsupported, where)
	case found.version == chain.LibxdpV1:
		return choice{}, fmt.Errorf("%w: %s; it is older than what libxdp itself still changes: take it off first (xdp-loader unload %s --all)", netdev.ErrBusy, where, t.iface.Name)
	case found.devbound:
		return choice{}, fmt.Errorf("%w: %s, whose members are loaded for that device alone, which ours are not; take it off first (xdp-loader unload %s --all)", netdev.ErrBusy, where, t.iface.Name)
	case found.unpinned:
		return choice{}, fmt.Errorf("%w: %s, whose pins are gone: it lets every packet through and nobody can change it; take it off first (ip link set dev %s xdp off)", netdev.ErrBusy, where, t.iface.Name)
	case asked.LibxdpVersion != chain.LibxdpVersionAuto && asked.LibxdpVersion != found.version:
		return choice{}, fmt.Errorf("%w: %s, and version %s is asked for; leave libxdpVersion out to join it", netdev.ErrUnsupported, where, asked.LibxdpVersion)
	}
	if err := t.node.haveFreplace(); err != nil {
		return choice{}, err
	}
	why := "asked for"
	if asked.Dispatcher == chain.DispatcherAuto {
		why = "the interface carried libxdp's dispatcher, which the members joined"
	}
	return chooseLibxdp(found.version, why), nil
}
