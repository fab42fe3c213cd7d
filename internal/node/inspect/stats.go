// SPDX-License-Identifier: Apache-2.0

package inspect

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"

	"github.com/xdp-chain/xdp-chain/internal/node/state"
	"github.com/xdp-chain/xdp-chain/internal/record"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
	"github.com/xdp-chain/xdp-chain/pkg/dispatcher"
)

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
			counts, err := dispatcher.ReadCounters(counters, state.MemberNames(rec.State))
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
