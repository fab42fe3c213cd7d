// SPDX-License-Identifier: Apache-2.0

package inspect

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"github.com/xdp-chain/xdp-chain/internal/node/state"

	"github.com/cilium/ebpf"

	flowstats "github.com/xdp-chain/xdp-chain/bpf/flow-stats"
	"github.com/xdp-chain/xdp-chain/internal/config"
	"github.com/xdp-chain/xdp-chain/internal/record"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
)

// ChainFlows are the flows that one member of a chain has counted. Its JSON form is as
// stable as that of [Chain].
type ChainFlows struct {
	Key       chain.Key   `json:"key"`
	Interface string      `json:"interface"`
	NetNS     string      `json:"netns"` // as in [Chain]
	Side      config.Side `json:"side"`
	// Member is the member's name, and Owner who put it into the chain.
	Member string       `json:"member"`
	Owner  record.Owner `json:"owner"`
	// Flows are those that the member remembers, the largest first.
	Flows []flowstats.Flow `json:"flows"`
	// Forgotten is what flows counted that had to make room for others, at the least:
	// packets that come while the maps are being read may be missing in it.
	Forgotten flowstats.Traffic `json:"forgotten"`
	// NotIP is what came besides, and Unreadable IP of which the flow cannot be told.
	NotIP      flowstats.Traffic `json:"notIP"`
	Unreadable flowstats.Traffic `json:"unreadable"`
	// Shared says with whom the member shares its maps, so that the flows are not this
	// chain's alone.
	Shared string `json:"shared,omitempty"`
	// Reason says why there is nothing to show.
	Reason string `json:"reason,omitempty"`
}

// Flows returns what the members of the node's chains have counted that keep flows, by
// key and running order. Those are the members whose maps are made as the built-in
// flow-stats has them, whatever the members' names and wherever their objects came
// from; a map that is merely called the same is nobody's flows. Like [List] it
// takes no locks and returns errors beside what could be read.
func Flows(n *state.Node) ([]ChainFlows, error) {
	declared, err := flowstats.Declared()
	if err != nil {
		return nil, err
	}
	boot, err := bootTime()
	if err != nil {
		return nil, err
	}
	records, err := n.Recorded()
	errs := []error{err}
	list := []ChainFlows{}
	for _, rec := range records {
		kept, err := state.Unchanged(n, rec, func(rec *record.Record) ([]ChainFlows, error) {
			return flows(n, rec, declared, boot)
		})
		if errors.Is(err, fs.ErrNotExist) { // removed since
			continue
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("read the flows of chain %s: %w", rec.Key, err))
			continue
		}
		list = append(list, kept...)
	}
	return list, errors.Join(errs...)
}

// flows reads the flows of those members of a chain that keep any.
func flows(n *state.Node, rec *record.Record, declared map[string]*ebpf.MapSpec, boot time.Time) ([]ChainFlows, error) {
	var list []ChainFlows
	for i := range rec.State.Members {
		m := &rec.State.Members[i]
		if !slices.Contains(m.Pins, flowstats.FlowsMap) || !slices.Contains(m.Pins, flowstats.TotalsMap) {
			continue
		}
		c := ChainFlows{
			Key: rec.Key, Interface: rec.Interface, NetNS: rec.NetNS, Side: rec.Side,
			Member: m.Name, Owner: m.Owner, Flows: []flowstats.Flow{}, Shared: sharers(m, flowstats.FlowsMap),
		}
		keeps, err := memberFlows(n, &c, rec, m, declared, boot)
		if err != nil {
			return nil, fmt.Errorf("member %q: %w", m.Name, err)
		}
		if keeps {
			list = append(list, c)
		}
	}
	return list, nil
}

// memberFlows reads a member's maps, and returns false where they are not of the kind.
func memberFlows(n *state.Node, c *ChainFlows, rec *record.Record, m *record.Member, declared map[string]*ebpf.MapSpec, boot time.Time) (bool, error) {
	opened := make(map[string]*ebpf.Map)
	defer state.CloseMaps(opened)
	for _, name := range []string{flowstats.FlowsMap, flowstats.TotalsMap} {
		one, err := n.BPFFS.OpenMap(rec.Key, rec.State.Generation, m.Name, name)
		if errors.Is(err, fs.ErrNotExist) {
			c.Reason = fmt.Sprintf("the pin of map %q is missing", name)
			return true, nil
		}
		if err != nil {
			return false, err
		}
		opened[name] = one
		if made, err := flowstats.MadeAs(one, declared[name]); err != nil || !made {
			return false, err
		}
	}
	return true, c.read(opened, boot, sharers(m, flowstats.TotalsMap))
}

// read reads the totals before the flows, so that a packet that comes in between does
// not look like a forgotten one.
func (c *ChainFlows) read(opened map[string]*ebpf.Map, boot time.Time, totalsShared string) error {
	totals, err := flowstats.ReadTotals(opened[flowstats.TotalsMap])
	if err != nil {
		return fmt.Errorf("read map %q: %w", flowstats.TotalsMap, err)
	}
	c.NotIP, c.Unreadable = totals.NotIP, totals.Unreadable
	if c.Flows, err = flowstats.ReadFlows(opened[flowstats.FlowsMap], boot); err != nil {
		return fmt.Errorf("read map %q: %w", flowstats.FlowsMap, err)
	}
	if c.Shared == totalsShared { // else they are not about the same packets
		c.Forgotten = totals.Forgotten(c.Flows)
	}
	return nil
}

// sharers says who else uses a member's map, "" for nobody.
func sharers(m *record.Member, name string) string {
	switch settings := m.Maps[name]; {
	case settings.Pinned != "":
		return "its maps are those of whoever uses " + settings.Pinned
	case settings.Scope == config.ScopeNode:
		return fmt.Sprintf("its maps are those of all pods of network %q", m.Owner.Network)
	}
	return ""
}
