// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/xdp-chain/xdp-chain/internal/node/change"
	"github.com/xdp-chain/xdp-chain/internal/node/state"
	"github.com/xdp-chain/xdp-chain/internal/record"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
)

// survey is a look at the whole state of the node. It goes from the chains to what is there
// for their sake, so that what only dead chains need is found along with them.
type survey struct {
	node    *state.Node
	records record.Dir
	// networks have shared maps, cookies name the namespaces with a tree of libxdp's, and
	// indexes are those of attachments.
	networks []string
	cookies  []uint64
	indexes  []record.Attachment
	keys     []chain.Key
	// locator finds interfaces. It looks for namespaces after all of these were listed.
	locator *state.Locator
	// live are the records of chains that are not gone.
	live map[chain.Key]*record.Record
	// unreadable says that there are records that cannot be read: what they need is not
	// known.
	unreadable bool
	// attached are the networks that have attachments that are no leftovers.
	attached map[string]bool

	found []Leftover
	errs  []error
}

func newSurvey(n *state.Node) (*survey, error) {
	s := &survey{
		node: n, records: n.Records.ReadOnly(),
		locator: n.NewLocator(), live: make(map[chain.Key]*record.Record), attached: make(map[string]bool),
	}
	// In the reverse of the order in which an ADD makes them: what is listed does not lack
	// what it is there for only because that came since. And where its namespace is not found
	// after that, it has lost it for good, as no cookie is given twice.
	var err error
	s.networks, err = n.BPFFS.Networks()
	s.fail("look at shared maps", err)
	s.cookies, err = n.BPFFS.LibxdpCookies()
	s.fail("look at libxdp's pins", err)
	s.listAttachments()
	s.keys, err = n.Keys()
	return s, err
}

func (s *survey) add(kind LeftoverKind, name, why string, remove func(context.Context) (bool, error)) {
	s.found = append(s.found, Leftover{kind, name, why, remove})
}

// fail notes what could not be looked at.
func (s *survey) fail(what string, err error) {
	if err != nil {
		s.errs = append(s.errs, fmt.Errorf("%s: %w", what, err))
	}
}

func (s *survey) chains() {
	for _, key := range s.keys {
		if err := s.chain(key); err != nil {
			s.fail("look at chain "+key.String(), err)
		}
	}
}

func (s *survey) chain(key chain.Key) error {
	rec, err := s.records.Load(key)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		// Whoever reads it next sets a broken one aside, and then it shows whether
		// the kernel still runs the chain.
		s.unreadable = true
		return err
	}
	if rec != nil {
		s.live[key] = rec
	}
	if busy, err := s.node.BPFFS.Busy(key); busy || err != nil {
		return err
	}
	liveness, why, err := s.locator.Liveness(key, rec)
	if err != nil {
		return err
	}
	remove := func(ctx context.Context) (bool, error) {
		err := change.RemoveStale(ctx, s.node, key)
		return !s.node.Knows(key), err
	}
	switch {
	case liveness == state.Gone && rec == nil:
		s.add(LeftoverPins, key.String(), why, remove)
		return nil
	case liveness == state.Gone:
		delete(s.live, key)
		s.add(LeftoverChain, key.String(), why, remove)
		return nil
	}
	return s.change(key, rec)
}

// change looks for what a process left that was killed in the middle of a change.
func (s *survey) change(key chain.Key, rec *record.Record) error {
	unended := func(rec *record.Record) (bool, error) {
		if rec == nil || rec.Pending != nil {
			return rec != nil, nil
		}
		return s.node.BPFFS.HasUnfinishedPins(key)
	}
	if is, err := unended(rec); !is || err != nil {
		return err
	}
	s.add(LeftoverChange, key.String(), "its process was killed; it is finished, or taken back", func(ctx context.Context) (bool, error) {
		if err := change.RemoveStale(ctx, s.node, key); err != nil {
			return false, err
		}
		rec, err := s.records.Load(key)
		if err != nil {
			return errors.Is(err, fs.ErrNotExist), nil
		}
		is, err := unended(rec)
		return !is && err == nil, err
	})
	return nil
}

// objects finds what the store could do without.
func (s *survey) objects() {
	if s.unreadable {
		return // what the records need is not known
	}
	needed := make(map[string]bool)
	for _, rec := range s.live {
		state.AddObjects(needed, rec)
	}
	paths, err := s.node.Store.Unused(needed, state.UnusedObjectAge)
	if err != nil {
		s.errs = append(s.errs, err)
	}
	for _, path := range paths {
		s.add(LeftoverObject, path, "no chain needs it", func(context.Context) (bool, error) {
			if isGone(path) { // along with one before it
				return true, nil
			}
			err := s.node.PruneStore()
			return isGone(path), err
		})
	}
}

// temporary finds the files that killed processes were writing records to.
func (s *survey) temporary() {
	paths, err := s.records.Abandoned()
	if err != nil {
		s.errs = append(s.errs, err)
	}
	for _, path := range paths {
		s.add(LeftoverTemporary, path, "the process that was writing it was killed", func(context.Context) (bool, error) {
			err := os.Remove(path)
			return isGone(path), err
		})
	}
}

func isGone(path string) bool {
	_, err := os.Lstat(path)
	return errors.Is(err, fs.ErrNotExist)
}
