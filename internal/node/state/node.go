// SPDX-License-Identifier: Apache-2.0

package state

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/xdp-chain/xdp-chain/internal/record"
	"github.com/xdp-chain/xdp-chain/internal/store"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
	"github.com/xdp-chain/xdp-chain/pkg/pin"
)

// Node is where the chains of one node live: its bpffs, its records and its
// store of objects. Its methods may be called from many processes at once.
type Node struct {
	BPFFS   pin.Tree
	Records record.Dir
	Store   store.Store
}

// Default returns the node with the paths that the plugin and xdpctl share.
func Default() *Node {
	return &Node{
		BPFFS:   pin.Tree{Root: pin.DefaultRoot},
		Records: record.Dir{Root: record.DefaultRoot},
		Store:   store.Store{Dir: store.DefaultDir},
	}
}

var (
	// ErrDiffers is wrapped by every difference that a check finds between what is
	// recorded or configured and what the kernel has.
	ErrDiffers = errors.New("the chain differs")
	// ErrNoMember is wrapped by every error about a member that is in no chain of the node.
	ErrNoMember = errors.New("no such member")
)

// ManualOwner owns the members that an operator puts into chains by hand. They are in no
// index: their ids, and their records, are all that leads to them.
var ManualOwner = record.Owner{Kind: record.OwnerCLI}

// Keys lists the chains that have a record or a folder of pins.
func (n *Node) Keys() ([]chain.Key, error) {
	recorded, err := n.Records.Keys()
	if err != nil {
		return nil, err
	}
	pinned, err := n.BPFFS.Keys()
	if err != nil {
		return nil, err
	}
	keys := slices.Concat(recorded, pinned)
	slices.SortFunc(keys, CompareKeys)
	return slices.Compact(keys), nil
}

// CompareKeys orders chains by cookie and index.
func CompareKeys(a, b chain.Key) int {
	return cmp.Or(cmp.Compare(a.Cookie, b.Cookie), cmp.Compare(a.Ifindex, b.Ifindex))
}

// Knows tells whether a chain has a record or a folder of pins.
func (n *Node) Knows(key chain.Key) bool {
	keys, err := n.Keys()
	return err != nil || slices.Contains(keys, key)
}

// Look reads a record without its chain's lock. One that cannot be read it reports,
// as nobody meets a broken one a second time.
func (n *Node) Look(ctx context.Context, key chain.Key) (*record.Record, error) {
	rec, err := n.Records.Load(key)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		slog.WarnContext(ctx, "a chain's record cannot be read", "error", err)
	}
	return rec, err
}

// Recorded reads the records of the chains that have come to run, by key.
func (n *Node) Recorded() ([]*record.Record, error) {
	keys, err := n.Records.Keys()
	if err != nil {
		return nil, err
	}
	slices.SortFunc(keys, CompareKeys)
	list, errs := n.loadAll(keys)
	list = slices.DeleteFunc(list, func(rec *record.Record) bool { return rec == nil || rec.State == nil })
	return list, errors.Join(errs...)
}

// loadAll reads records in parallel, as most of the time goes into reading JSON. One
// that was removed since is nil, as is one with an error.
func (n *Node) loadAll(keys []chain.Key) ([]*record.Record, []error) {
	list, errs := make([]*record.Record, len(keys)), make([]error, len(keys))
	InParallel(len(keys), func(i int) {
		rec, err := n.Records.Load(keys[i])
		if err == nil {
			list[i] = rec
		} else if !errors.Is(err, fs.ErrNotExist) {
			errs[i] = err
		}
	})
	return list, errs
}

// InParallel does n pieces of work that wait for the kernel some of the time.
func InParallel(n int, work func(int)) {
	var next atomic.Int64
	var busy sync.WaitGroup
	for range min(n, 4*runtime.GOMAXPROCS(0)) {
		busy.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				work(i)
			}
		})
	}
	busy.Wait()
}

// Unchanged reads what a chain's generation has between two looks at the record: the
// same generation before and after means that it was that generation's. A chain
// that was removed meanwhile satisfies errors.Is(err, [fs.ErrNotExist]).
func Unchanged[T any](n *Node, rec *record.Record, read func(*record.Record) (T, error)) (T, error) {
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

// SameJSON compares what the record would say: white space in raw JSON and the
// difference between nil and empty do not count.
func SameJSON[T any](a, b T) bool {
	left, errLeft := json.Marshal(a)
	right, errRight := json.Marshal(b)
	return errLeft == nil && errRight == nil && bytes.Equal(left, right)
}

// FindMembers looks for members by their ids, and returns the record of each one's chain. One that
// no chain has satisfies errors.Is(err, [ErrNoMember]).
func (n *Node) FindMembers(ids ...record.ID) ([]*record.Record, error) {
	records, unreadable := n.Recorded()
	found := make([]*record.Record, len(ids))
	var errs []error
	for i, id := range ids {
		at := slices.IndexFunc(records, func(rec *record.Record) bool { return rec.State.MemberByID(id) != nil })
		if at < 0 {
			errs = append(errs, fmt.Errorf("%w: no member has id %d", ErrNoMember, id))
			continue
		}
		found[i] = records[at]
	}
	if len(errs) > 0 {
		errs = append(errs, unreadable) // it may be in one of those
	}
	return found, errors.Join(errs...)
}

// MemberNames are the names of a generation's members, in running order.
func MemberNames(s *record.State) []string {
	names := make([]string, len(s.Members))
	for i, m := range s.Members {
		names[i] = m.Name
	}
	return names
}

// Tally sums packets by deciding member and verdict.
type Tally map[tallyRow]uint64

type tallyRow struct {
	member  string
	verdict chain.Verdict
}

// NewTally begins with the counts of the generations before, which may be none.
func NewTally(base []chain.Count) Tally {
	sums := make(Tally)
	for _, c := range base {
		sums[tallyRow{c.Member, c.Verdict}] += c.Packets
	}
	return sums
}

// Add adds counts.
func (s Tally) Add(counts []chain.Count) {
	for _, c := range counts {
		s[tallyRow{c.Member, c.Verdict}] += c.Packets
	}
}

// KeepOnly moves the rows of members that are not in the generation to
// [chain.RemovedMember], and returns all rows in a fixed order.
func (s Tally) KeepOnly(next *record.State) []chain.Count {
	stays := map[string]bool{chain.EndMember: true, chain.RemovedMember: true}
	for _, m := range next.Members {
		stays[m.Name] = true
	}
	kept := make(Tally, len(s))
	for row, packets := range s {
		if !stays[row.member] {
			row.member = chain.RemovedMember
		}
		kept[row] += packets
	}
	return kept.Rows(MemberNames(next))
}

// Rows lists what is not zero: the members in the given order, then what was
// removed, then the end of the chain; verdicts by value.
func (s Tally) Rows(members []string) []chain.Count {
	order := append(slices.Clone(members), chain.RemovedMember, chain.EndMember)
	list := make([]chain.Count, 0, len(s))
	for row, packets := range s {
		if packets > 0 {
			list = append(list, chain.Count{Member: row.member, Verdict: row.verdict, Packets: packets})
		}
	}
	slices.SortFunc(list, func(a, b chain.Count) int {
		return cmp.Or(
			cmp.Compare(slices.Index(order, a.Member), slices.Index(order, b.Member)),
			cmp.Compare(a.Verdict, b.Verdict))
	})
	return list
}
