// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"

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

func (s *survey) listAttachments() {
	networks, err := s.records.Networks()
	s.fail("look at attachments", err)
	for _, network := range networks {
		list, err := s.records.Attachments(network)
		if err != nil {
			s.attached[network] = true
			s.errs = append(s.errs, err)
		}
		s.indexes = append(s.indexes, list...)
	}
}

// attachments finds the indexes of attachments whose interfaces are all gone. One that has
// interfaces and no chain may be of an ADD that is about to make them.
func (s *survey) attachments() {
	for _, a := range s.indexes {
		dead, err := s.allGone(a.Keys)
		s.fail("look at an attachment to network "+a.Network, err)
		if dead {
			s.attachment(a)
		} else {
			s.attached[a.Network] = true
		}
	}
}

func (s *survey) attachment(a record.Attachment) {
	name := strings.Join([]string{a.Network, a.ContainerID, a.Ifname}, "/")
	s.add(LeftoverAttachment, name, "its interfaces are gone", func(ctx context.Context) (bool, error) {
		// One that was moved in again may be that of an ADD which has no record yet.
		if dead, err := s.allGone(a.Keys); !dead {
			return false, err
		}
		// It keeps the index where one of the chains still has a record.
		if err := s.node.RemoveDeadIndexes(ctx, []record.Owner{a.Owner()}); err != nil {
			return false, err
		}
		_, err := s.records.LoadAttachment(a.Network, a.ContainerID, a.Ifname)
		return errors.Is(err, fs.ErrNotExist), nil
	})
}

// allGone tells whether all interfaces that an attachment's index names are gone. None
// is not all.
func (s *survey) allGone(keys []chain.Key) (bool, error) {
	for _, key := range keys {
		if gone, err := s.isGone(key); !gone || err != nil {
			return false, err
		}
	}
	return len(keys) > 0, nil
}

// isGone tells whether the interface that an attachment's index names is gone.
func (s *survey) isGone(key chain.Key) (bool, error) {
	if s.live[key] != nil {
		return false, nil
	}
	iface, _, err := s.locator.Interface(key, nil)
	if iface != nil {
		iface.NetNS.Close()
	}
	return iface == nil && err == nil, err
}

// maps finds the shared maps of networks that have no attachment.
func (s *survey) maps() {
	slices.Sort(s.networks)
	for _, network := range s.networks {
		busy, err := s.node.BPFFS.NodeBusy(network)
		s.fail("look at the shared maps of network "+network, err)
		if busy || err != nil {
			continue
		}
		if network == state.ManualNetwork {
			if !s.heldManually() {
				s.add(LeftoverMaps, "members put in by hand", "none is left", func(ctx context.Context) (bool, error) {
					return s.droppedMaps(state.ManualNetwork, s.node.DropManualMaps(ctx))
				})
			}
			continue
		}
		if !s.attached[network] {
			s.add(LeftoverMaps, "network "+network, "it has no attachment", func(ctx context.Context) (bool, error) {
				return s.droppedMaps(network, s.node.DropNodeMaps(ctx, network))
			})
		}
	}
}

// heldManually tells whether a chain has, or may have, members that were put in by hand.
func (s *survey) heldManually() bool {
	for _, rec := range s.live {
		if rec.HasOwner(state.ManualOwner) {
			return true
		}
	}
	return s.unreadable
}

func (s *survey) droppedMaps(network string, err error) (bool, error) {
	if err != nil {
		return false, err
	}
	left, err := s.node.BPFFS.Networks()
	return !slices.Contains(left, network), err
}

// libxdp finds the trees of namespaces that are gone. In one of a namespace that is there
// xdp-loader may have pins, though no record tells of it.
func (s *survey) libxdp() {
	spaces, err := s.locator.Namespaces()
	if err != nil {
		s.fail("look at libxdp's pins", err)
		return
	}
	slices.Sort(s.cookies)
	for _, cookie := range s.cookies {
		_, there := spaces[cookie]
		for key := range s.live {
			there = there || key.Cookie == cookie
		}
		if !there && !s.unreadable {
			s.add(LeftoverLibxdp, strconv.FormatUint(cookie, 10), "it is gone", func(ctx context.Context) (bool, error) {
				return dropLibxdpTree(ctx, s.node, cookie)
			})
		}
	}
}

// dropLibxdpTree removes the pins in a namespace's tree of libxdp's, and the tree with them
// unless something else is in it.
func dropLibxdpTree(ctx context.Context, n *state.Node, cookie uint64) (bool, error) {
	tree := n.BPFFS.Libxdp(cookie)
	lock, err := tree.LockExisting(ctx)
	if err == nil {
		err = lock.UnpinAll()
		err = errors.Join(err, lock.Unlock())
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	_, err = os.Stat(tree.BPFFS())
	return errors.Is(err, fs.ErrNotExist), nil
}
