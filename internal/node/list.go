// SPDX-License-Identifier: Apache-2.0

package node

import (
	"errors"
	"fmt"
	"io/fs"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/xdp-chain/xdp-chain/internal/config"
	"github.com/xdp-chain/xdp-chain/internal/record"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
	"github.com/xdp-chain/xdp-chain/pkg/netdev"
	"github.com/xdp-chain/xdp-chain/pkg/pin"
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
	NetNS string      `json:"netns"`
	Side  config.Side `json:"side"`
	// Mode is what the kernel took, and ModeReason why it is generic under auto.
	Mode       chain.Mode `json:"mode"`
	ModeReason string     `json:"modeReason,omitempty"`
	// Attach is what holds the chain: link or netlink.
	Attach           chain.Attach     `json:"attach"`
	Dispatcher       chain.Dispatcher `json:"dispatcher"`
	DispatcherReason string           `json:"dispatcherReason,omitempty"`
	// PeerGRO is the other end of the veth pair, by its name, where GRO is on there for
	// members that transmit.
	PeerGRO string `json:"peerGRO,omitempty"`
	// Generation counts the chain's changes, from 1.
	Generation uint64         `json:"generation"`
	Owners     []record.Owner `json:"owners"`
	// Members in running order.
	Members []ChainMember `json:"members"`
	// LibxdpVersion and LibxdpStatus are of chains with the dispatcher libxdp alone: the
	// version of its protocol, and the command with which libxdp's own tool shows it.
	LibxdpVersion chain.LibxdpVersion `json:"libxdpVersion,omitempty"`
	LibxdpStatus  string              `json:"libxdpStatus,omitempty"`
}

// ChainMember is a member of a chain as it is shown.
type ChainMember struct {
	chain.Member
	// ID names the member, as [Node.Unload] takes it; 0 for those of libxdp's tools.
	ID record.ID `json:"id,omitempty"`
	// Position is the member's rank in the running order, from 0.
	Position int `json:"position"`
	// CreatedAt is when it came into the chain, and Metadata what its owner notes about
	// it. Both stay whatever changes.
	CreatedAt time.Time         `json:"createdAt,omitzero"`
	Metadata  map[string]string `json:"metadata,omitempty"`
	// Owner is who put it there. A member of libxdp's tools is named by its function.
	Owner record.Owner `json:"owner"`
	// ProgramID is the kernel's id of a member that is a program of its own, as those
	// of libxdp's dispatcher are.
	ProgramID uint32 `json:"programID,omitempty"`
}

// List returns the chains of the node by key. It takes no locks: a chain that is
// being changed is shown as it was or as it will be. A record that is broken does
// not keep the others from being shown; its error is returned beside them.
func (n *Node) List() ([]Chain, error) {
	records, err := n.records()
	list := make([]Chain, 0, len(records))
	errs := []error{err}
	for _, rec := range records {
		c, err := n.show(rec)
		if err != nil {
			errs = append(errs, fmt.Errorf("chain %s: %w", rec.Key, err))
		}
		list = append(list, c)
	}
	return list, errors.Join(errs...)
}

// show returns a chain as it runs, and with an error as it is recorded.
func (n *Node) show(rec *record.Record) (Chain, error) {
	if rec.State.Dispatcher == chain.DispatcherLibxdp {
		return n.shownLibxdp(rec)
	}
	return shown(rec), nil
}

// shownMember returns a member of the chain that was just changed.
func (t *tenure) shownMember(name string) (ChainMember, error) {
	c, err := t.node.show(t.rec)
	for _, m := range c.Members {
		if m.Name == name && m.ID != 0 {
			return m, err
		}
	}
	return ChainMember{}, errors.Join(fmt.Errorf("%w: %q has left the chain on %s meanwhile", ErrNoMember, name, t.rec.Interface), err)
}

// shownLibxdp looks at the interface between two looks at the record: with the same one
// before and after, what is in the dispatcher and not in the record is others'.
func (n *Node) shownLibxdp(rec *record.Record) (Chain, error) {
	for {
		c := shown(rec)
		err := n.showSlots(&c, rec)
		again, loadErr := n.Records.Load(rec.Key)
		if loadErr != nil || again.State == nil || sameJSON(again, rec) {
			return c, err
		}
		rec = again
	}
}

// showSlots shows what runs in libxdp's dispatcher instead of what is recorded: its
// tools may have changed it since.
func (n *Node) showSlots(c *Chain, rec *record.Record) error {
	tree := n.libxdpTree(rec)
	c.LibxdpVersion, c.LibxdpStatus = rec.State.LibxdpVersion, libxdpStatus(tree, rec)
	iface, err := reopen(rec)
	if iface == nil || err != nil {
		return err
	}
	defer iface.NetNS.Close()
	found, err := n.findLibxdp(rec, iface)
	if found == nil || err != nil {
		return err
	}
	defer found.close()
	c.Members = make([]ChainMember, len(found.slots))
	for i := range found.slots {
		c.Members[i] = shownSlot(&found.slots[i], i)
	}
	return nil
}

// shownSlot leaves out of proceedOn what no name stands for, and the verdict that libxdp
// sets for every member and shows for none.
func shownSlot(s *slot, position int) ChainMember {
	m := ChainMember{Member: s.Member, Position: position, ProgramID: s.id, Owner: record.Owner{Kind: record.OwnerLibxdp}}
	m.ProceedOn = withoutReturn(chain.ActionSetOf(s.ProceedOn.Actions()...))
	if s.own == nil {
		m.Name = s.Function
		return m
	}
	m.ID, m.CreatedAt, m.Metadata, m.Owner = s.own.ID, s.own.Created, s.own.Metadata, s.own.Owner
	m.ProceedOn |= s.own.ProceedOn & chain.ActionSetOf(chain.DispatcherReturn)
	return m
}

// libxdpStatus is the command with which libxdp's own tool shows a chain.
func libxdpStatus(tree pin.Libxdp, rec *record.Record) string {
	if rec.NetNS == netdev.CurrentPath {
		return "xdp-loader status " + rec.Interface
	}
	return fmt.Sprintf("LIBXDP_BPFFS=%s nsenter --net=%s xdp-loader status %s", tree.BPFFS(), rec.NetNS, rec.Interface)
}

// records reads the records of the chains that run, by key.
func (n *Node) records() ([]*record.Record, error) {
	keys, err := n.Records.Keys()
	if err != nil {
		return nil, err
	}
	slices.SortFunc(keys, compareKeys)
	list, errs := n.loadAll(keys)
	list = slices.DeleteFunc(list, func(rec *record.Record) bool { return rec == nil || rec.State == nil })
	return list, errors.Join(errs...)
}

// loadAll reads records on all processors, as most of the time goes into reading JSON. One
// that was removed since is nil, as is one with an error.
func (n *Node) loadAll(keys []chain.Key) ([]*record.Record, []error) {
	list, errs := make([]*record.Record, len(keys)), make([]error, len(keys))
	var next atomic.Int64
	var busy sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		busy.Go(func() {
			for i := next.Add(1) - 1; i < int64(len(keys)); i = next.Add(1) - 1 {
				rec, err := n.Records.Load(keys[i])
				if err == nil {
					list[i] = rec
				} else if !errors.Is(err, fs.ErrNotExist) {
					errs[i] = err
				}
			}
		})
	}
	busy.Wait()
	return list, errs
}

func shown(rec *record.Record) Chain {
	s := rec.State
	c := Chain{
		Key: rec.Key, Interface: rec.Interface, Ifindex: rec.Key.Ifindex, NetNS: rec.NetNS, Side: rec.Side,
		Mode: s.Mode, ModeReason: s.ModeWhy, Attach: s.Attach,
		Dispatcher: s.Dispatcher, DispatcherReason: s.DispatcherWhy,
		Generation: s.Generation, Owners: s.Owners(), Members: make([]ChainMember, len(s.Members)),
	}
	if rec.PeerGRO != nil {
		c.PeerGRO = rec.PeerGRO.Interface
	}
	for i, m := range s.Members {
		c.Members[i] = ChainMember{
			Member: m.Member, ID: m.ID, Position: i, CreatedAt: m.Created, Metadata: m.Metadata, Owner: m.Owner, ProgramID: m.ProgramID,
		}
	}
	return c
}
