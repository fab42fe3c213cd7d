// SPDX-License-Identifier: Apache-2.0

package node

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/xdp-chain/xdp-chain/internal/record"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
	"github.com/xdp-chain/xdp-chain/pkg/dispatcher"
)

// ChainStats says who decided over a chain's packets. Its JSON form is as stable
// as that of [Chain].
type ChainStats struct {
	Key       chain.Key `json:"key"`
	Interface string    `json:"interface"`
	// Rows hold what is not zero, members in running order, then [chain.RemovedMember],
	// then [chain.EndMember]. Their packets add up to what entered the chain.
	Rows []chain.Count `json:"rows"`
	// Reason says why there are no rows where the chain does not count.
	Reason string `json:"reason,omitempty"`
}

// Stats returns the counts of the node's chains by key. Like [Node.List] it takes
// no locks and returns errors beside what could be read.
func (n *Node) Stats() ([]ChainStats, error) {
	records, err := n.records()
	errs := []error{err}
	list := make([]ChainStats, 0, len(records))
	for _, rec := range records {
		s, err := unchanged(n, rec, n.stats)
		if errors.Is(err, fs.ErrNotExist) { // removed since
			continue
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("count chain %s: %w", rec.Key, err))
			continue
		}
		list = append(list, s)
	}
	return list, errors.Join(errs...)
}

// unchanged reads what a chain's generation has between two looks at the record: the
// same generation before and after means that it was that generation's. A chain
// that was removed meanwhile satisfies errors.Is(err, [fs.ErrNotExist]).
func unchanged[T any](n *Node, rec *record.Record, read func(*record.Record) (T, error)) (T, error) {
	for {
		value, err := read(rec)
		again, loadErr := n.Records.Load(rec.Key)
		if loadErr != nil {
			return value, loadErr
		}
		if again.State != nil && again.State.Generation == rec.State.Generation {
			return value, err
		}
		if again.State == nil {
			return value, fs.ErrNotExist
		}
		rec = again
	}
}

func (n *Node) stats(rec *record.Record) (ChainStats, error) {
	s := ChainStats{Key: rec.Key, Interface: rec.Interface}
	sums := newTally(rec.Base)
	if rec.State.Counters {
		counters, err := n.BPFFS.OpenCounters(rec.Key, rec.State.Generation)
		if errors.Is(err, fs.ErrNotExist) {
			s.Reason = "the pin of the chain's counters is missing"
		} else if err != nil {
			return s, err
		} else {
			defer counters.Close()
			counts, err := dispatcher.ReadCounters(counters, memberNames(rec.State))
			if err != nil {
				return s, err
			}
			sums.add(counts)
		}
	} else if rec.State.Dispatcher == chain.DispatcherLibxdp {
		s.Reason = "not known: libxdp's protocol leaves its dispatcher no room for counters"
	} else {
		s.Reason = `counters are off for this chain ("counters": false)`
	}
	s.Rows = sums.rows(memberNames(rec.State))
	return s, nil
}
