// SPDX-License-Identifier: Apache-2.0

package node

import (
	"github.com/xdp-chain/xdp-chain/internal/catalog"
	"github.com/xdp-chain/xdp-chain/internal/config"
	"github.com/xdp-chain/xdp-chain/internal/record"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
	"github.com/xdp-chain/xdp-chain/pkg/object"
)

// Attachment is what one CNI attachment wants: which programs, on which ends of
// its veth pair, and how they are to be put there.
type Attachment struct {
	// Network, ContainerID and Ifname name the attachment, as CNI does.
	Network, ContainerID, Ifname string
	// PodNamespace and PodName are shown, and nothing depends on them.
	PodNamespace, PodName string
	// NetNS is the path of the pod's network namespace.
	NetNS string

	// Side is where programs go that name no side of their own.
	Side       config.Side
	Mode       chain.Mode
	Attach     chain.Attach
	Dispatcher chain.Dispatcher
	// LibxdpVersion is for the dispatcher libxdp alone.
	LibxdpVersion chain.LibxdpVersion
	// PeerNapi says whether members that transmit have the veth's other end poll.
	PeerNapi config.PeerNapi
	// Counters says whether the dispatcher counts who decided.
	Counters bool
	// Programs is what the configuration lists, in any order. One with a band is what
	// the pod's annotation names.
	Programs []config.Program
	// Catalog has the programs that have no object of their own; nil has the built-in
	// ones.
	Catalog *catalog.Catalog
	// Pod fills the placeholders of globals and map entries. Where Ifindex is 0, or
	// MAC nil, it is taken from the interface.
	Pod object.Pod
}

func (a *Attachment) owner() record.Owner {
	return record.Owner{
		Kind: record.OwnerAttachment, Network: a.Network, ContainerID: a.ContainerID, Ifname: a.Ifname,
		PodNamespace: a.PodNamespace, PodName: a.PodName,
	}
}

func (a *Attachment) requested() record.Requested {
	return record.Requested{
		Mode: a.Mode, Attach: a.Attach, Dispatcher: a.Dispatcher, LibxdpVersion: a.LibxdpVersion, PeerNapi: a.PeerNapi,
	}
}

// sides returns the programs by the end of the veth pair they are for. An end
// without programs is not in the map.
func (a *Attachment) sides() map[config.Side][]config.Program {
	by := make(map[config.Side][]config.Program)
	for _, p := range a.Programs {
		side := a.Side
		if p.Side != nil {
			side = *p.Side
		}
		by[side] = append(by[side], p)
	}
	return by
}
