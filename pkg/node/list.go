// SPDX-License-Identifier: Apache-2.0

package node

import (
	"errors"
	"io/fs"
	"slices"

	"github.com/xdp-chain/xdp-chain/pkg/chain"
	"github.com/xdp-chain/xdp-chain/pkg/record"
)

// Chain is a chain as it is shown. Its JSON form is stable: fields are added,
// none is taken away or given another meaning.
type Chain struct {
	// Key is "<netns cookie>-<ifindex>".
	Key       chain.Key `json:"key"`
	Interface string    `json:"interface"`
	Ifindex   int       `json:"ifindex"`
	// NetNS is the path of the interface's network namespace. For the host's it is
	// /proc/self/ns/net, which leads whoever reads it on the host there.
	NetNS string     `json:"netns"`
	Side  chain.Side `json:"side"`
	// Mode is what the kernel took, and ModeReason why it is generic under auto.
	Mode       chain.Mode `json:"mode"`
	ModeReason string     `json:"modeReason,omitempty"`
	// Attach is what holds the chain: link or netlink.
	Attach           chain.Attach     `json:"attach"`
	Dispatcher       chain.Dispatcher `json:"dispatcher"`
	DispatcherReason string           `json:"dispatcherReason,omitempty"`
	// Generation counts the chain's changes, from 1.
	Generation uint64         `json:"generation"`
	Owners     []record.Owner `json:"owners"`
	// Members in running order.
	Members []ChainMember `json:"members"`
}

// ChainMember is a member of a chain as it is shown.
type ChainMember struct {
	chain.Member
	// Position is the member's rank in the running order, from 0.
	Position int `json:"position"`
}

// List returns the chains of the node by key. It takes no locks: a chain that is
// being changed is shown as it was or as it will be. A record that is broken does
// not keep the others from being shown; its error is returned beside them.
func (n *Node) List() ([]Chain, error) {
	records, err := n.records()
	list := make([]Chain, 0, len(records))
	for _, rec := range records {
		list = append(list, shown(rec))
	}
	return list, err
}

// records reads the records of the chains that run, by key.
func (n *Node) records() ([]*record.Record, error) {
	keys, err := n.Records.Keys()
	if err != nil {
		return nil, err
	}
	slices.SortFunc(keys, compareKeys)
	var list []*record.Record
	var errs []error
	for _, key := range keys {
		rec, err := n.Records.Load(key)
		switch {
		case errors.Is(err, fs.ErrNotExist): // removed since
		case err != nil:
			errs = append(errs, err)
		case rec.State != nil:
			list = append(list, rec)
		}
	}
	return list, errors.Join(errs...)
}

func shown(rec *record.Record) Chain {
	s := rec.State
	c := Chain{
		Key: rec.Key, Interface: rec.Interface, Ifindex: rec.Key.Ifindex, NetNS: rec.NetNS, Side: rec.Side,
		Mode: s.Mode, ModeReason: s.ModeWhy, Attach: s.Attach,
		Dispatcher: s.Dispatcher, DispatcherReason: s.DispatcherWhy,
		Generation: s.Generation, Owners: s.Owners(), Members: make([]ChainMember, len(s.Members)),
	}
	for i, m := range s.Members {
		c.Members[i] = ChainMember{Member: m.Member, Position: i}
	}
	return c
}
