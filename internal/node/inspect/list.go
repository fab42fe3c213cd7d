// SPDX-License-Identifier: Apache-2.0

package inspect

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/xdp-chain/xdp-chain/internal/config"
	"github.com/xdp-chain/xdp-chain/internal/node/state"
	"github.com/xdp-chain/xdp-chain/internal/record"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
	"github.com/xdp-chain/xdp-chain/pkg/dispatcher"
	"github.com/xdp-chain/xdp-chain/pkg/netdev"
	"github.com/xdp-chain/xdp-chain/pkg/pin"
)

// Chain is a chain as it is shown. Its JSON form is stable: fields are added,
// none is taken away or given another meaning.
type Chain struct {
	// Key is "<netns cookie>-<ifindex>".
	Key chain.Key `json:"key"`
	Placement
	// PeerGRO is the other end of the veth pair, by its name, where GRO is on there for
	// members that transmit.
	PeerGRO string `json:"peerGRO,omitempty"`
	// Generation counts the chain's changes, from 1.
	Generation uint64         `json:"generation"`
	Owners     []record.Owner `json:"owners"`
	// Members in running order.
	Members []Member `json:"members"`
	// LibxdpVersion and LibxdpStatus are of chains with the dispatcher libxdp alone: the
	// version of its protocol, and the command with which libxdp's own tool shows it.
	LibxdpVersion chain.LibxdpVersion `json:"libxdpVersion,omitempty"`
	LibxdpStatus  string              `json:"libxdpStatus,omitempty"`
	Condition
}

// Placement is where a chain is, and how it is held there.
type Placement struct {
	Interface string `json:"interface"`
	Ifindex   int    `json:"ifindex"`
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
}

// Condition says whether a chain runs, as the kernel tells.
type Condition struct {
	State state.Liveness `json:"state"`
	// Reason says why it does not run.
	Reason string `json:"reason,omitempty"`
}

// Member is a member of a chain as it is shown.
type Member struct {
	chain.Member
	// ID names the member, as [node.Node.Unload] takes it; 0 for those of libxdp's tools.
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
	// Tag is that of its program, where it is one of its own and the kernel was asked, as
	// [Hooks] does.
	Tag string `json:"tag,omitempty"`
}

// List returns the chains of the node by key. It takes no locks: a chain that is
// being changed is shown as it was or as it will be. A record that is broken does
// not keep the others from being shown; its error is returned beside them.
func List(n *state.Node) ([]Chain, error) {
	records, err := n.Recorded()
	list, errs := make([]Chain, len(records)), make([]error, len(records))
	locator := n.NewLocator()
	state.InParallel(len(records), func(i int) {
		rec := records[i]
		c, err := show(n, rec)
		condition, conditionErr := conditionOf(locator, rec)
		c.Condition = condition
		if err = errors.Join(err, conditionErr); err != nil {
			errs[i] = fmt.Errorf("chain %s: %w", rec.Key, err)
		}
		list[i] = c
	})
	return list, errors.Join(append([]error{err}, errs...)...)
}

// conditionOf asks whether a chain runs.
func conditionOf(l *state.Locator, rec *record.Record) (Condition, error) {
	liveness, why, err := l.LivenessOf(rec)
	return Condition{liveness, why}, err
}

// show returns a chain as it runs, and with an error as it is recorded.
func show(n *state.Node, rec *record.Record) (Chain, error) {
	if rec.State.Dispatcher == chain.DispatcherLibxdp {
		return shownLibxdp(n, rec)
	}
	return shown(rec), nil
}

// MemberNamed returns a member of a chain that was just changed.
func MemberNamed(n *state.Node, rec *record.Record, name string) (Member, error) {
	c, err := show(n, rec)
	for _, m := range c.Members {
		if m.Name == name && m.ID != 0 {
			return m, err
		}
	}
	return Member{}, errors.Join(fmt.Errorf("%w: %q has left the chain on %s meanwhile", state.ErrNoMember, name, rec.Interface), err)
}

// shownLibxdp looks at the interface between two looks at the record: with the same one
// before and after, what is in the dispatcher and not in the record is others'.
func shownLibxdp(n *state.Node, rec *record.Record) (Chain, error) {
	for {
		c := shown(rec)
		err := showSlots(n, &c, rec)
		again, loadErr := n.Records.Load(rec.Key)
		if loadErr != nil || again.State == nil || state.SameJSON(again, rec) {
			return c, err
		}
		rec = again
	}
}

// showSlots shows what runs in libxdp's dispatcher instead of what is recorded: its
// tools may have changed it since.
func showSlots(n *state.Node, c *Chain, rec *record.Record) error {
	tree := n.LibxdpTree(rec)
	c.LibxdpVersion, c.LibxdpStatus = rec.State.LibxdpVersion, libxdpStatus(tree, rec)
	iface, err := state.Reopen(rec)
	if iface == nil || err != nil {
		return err
	}
	defer iface.NetNS.Close()
	found, err := n.FindLibxdp(rec, iface)
	if found == nil || err != nil {
		return err
	}
	defer found.Close()
	c.Members = make([]Member, len(found.Slots))
	for i := range found.Slots {
		c.Members[i] = shownSlot(&found.Slots[i], i)
	}
	return nil
}

// shownSlot leaves out of proceedOn what no name stands for, and the verdict that libxdp
// sets for every member and shows for none.
func shownSlot(s *state.Slot, position int) Member {
	m := Member{Member: s.Member, Position: position, ProgramID: s.ID, Owner: record.Owner{Kind: record.OwnerLibxdp}}
	m.ProceedOn = state.WithoutReturn(chain.ActionSetOf(s.ProceedOn.Actions()...))
	if s.Own == nil {
		m.Name = s.Function
		return m
	}
	m.ID, m.CreatedAt, m.Metadata, m.Owner = s.Own.ID, s.Own.Created, s.Own.Metadata, s.Own.Owner
	m.ProceedOn |= s.Own.ProceedOn & chain.ActionSetOf(chain.DispatcherReturn)
	return m
}

// libxdpStatus is the command with which libxdp's own tool shows a chain.
func libxdpStatus(tree pin.Libxdp, rec *record.Record) string {
	if rec.NetNS == netdev.CurrentPath {
		return "xdp-loader status " + rec.Interface
	}
	return fmt.Sprintf("LIBXDP_BPFFS=%s nsenter --net=%s xdp-loader status %s", tree.BPFFS(), rec.NetNS, rec.Interface)
}

func shown(rec *record.Record) Chain {
	s := rec.State
	c := Chain{
		Key: rec.Key,
		Placement: Placement{
			Interface: rec.Interface, Ifindex: rec.Key.Ifindex, NetNS: rec.NetNS, Side: rec.Side,
			Mode: s.Mode, ModeReason: s.ModeWhy, Attach: s.Attach, Dispatcher: s.Dispatcher, DispatcherReason: s.DispatcherWhy,
		},
		Generation: s.Generation, Owners: s.Owners(), Members: make([]Member, len(s.Members)),
	}
	if rec.PeerGRO != nil {
		c.PeerGRO = rec.PeerGRO.Interface
	}
	for i, m := range s.Members {
		c.Members[i] = Member{
			Member: m.Member, ID: m.ID, Position: i, CreatedAt: m.Created, Metadata: m.Metadata, Owner: m.Owner, ProgramID: m.ProgramID,
		}
	}
	return c
}

// ChainStats says who decided over a chain's packets. Its JSON form is as stable
// as that of [Chain].
type ChainStats struct {
	Key       chain.Key `json:"key"`
	Interface string    `json:"interface"`
	// NetNS and Owners are those of the chain, as in [Chain].
	NetNS  string         `json:"-"`
	Owners []record.Owner `json:"-"`
	// Rows hold what is not zero, members in running order, then [chain.RemovedMember],
	// then [chain.EndMember]. Their packets add up to what entered the chain.
	Rows  []chain.Count  `json:"rows"`
	State state.Liveness `json:"state"`
	// Reason says why the chain does not run, or why there are no rows where it does not
	// count.
	Reason string `json:"reason,omitempty"`
}

// Stats returns the counts of the node's chains by key. Like [List] it takes
// no locks and returns errors beside what could be read.
func Stats(n *state.Node) ([]ChainStats, error) {
	records, err := n.Recorded()
	errs := []error{err}
	list := make([]ChainStats, 0, len(records))
	locator := n.NewLocator()
	for _, rec := range records {
		s, err := state.Unchanged(n, rec, func(rec *record.Record) (ChainStats, error) { return stats(n, rec) })
		if errors.Is(err, fs.ErrNotExist) { // removed since
			continue
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("count chain %s: %w", rec.Key, err))
			continue
		}
		liveness, why, err := locator.LivenessOf(rec)
		if err != nil {
			errs = append(errs, fmt.Errorf("chain %s: %w", rec.Key, err))
		}
		s.State, s.Reason = liveness, cmp.Or(why, s.Reason)
		list = append(list, s)
	}
	return list, errors.Join(errs...)
}

func stats(n *state.Node, rec *record.Record) (ChainStats, error) {
	s := ChainStats{Key: rec.Key, Interface: rec.Interface, NetNS: rec.NetNS, Owners: rec.State.Owners()}
	sums := state.NewTally(rec.Base)
	if rec.State.Counters {
		counters, err := n.BPFFS.OpenCounters(rec.Key, rec.State.Generation)
		if errors.Is(err, fs.ErrNotExist) {
			s.Reason = "the pin of the chain's counters is missing"
		} else if err != nil {
			return s, err
		} else {
			defer counters.Close()
			counts, err := dispatcher.ReadCounters(counters, rec.State.Places())
			if err != nil {
				return s, err
			}
			sums.Add(counts)
		}
	} else if rec.State.Dispatcher == chain.DispatcherLibxdp {
		s.Reason = "not known: libxdp's protocol leaves its dispatcher no room for counters"
	} else {
		s.Reason = `counters are off for this chain ("counters": false)`
	}
	s.Rows = sums.Rows(state.MemberNames(rec.State))
	return s, nil
}
