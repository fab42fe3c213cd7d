// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/xdp-chain/xdp-chain/internal/record"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
	"github.com/xdp-chain/xdp-chain/pkg/netdev"
)

// survey is a look at the whole state of the node. It goes from the chains to what is there
// for their sake, so that what only dead chains need is found along with them.
type survey struct {
	node    *Node
	records record.Dir
	// networks have shared maps, cookies name the namespaces with a tree of libxdp's, and
	// indexes are those of attachments.
	networks []string
	cookies  []uint64
	indexes  []record.Attachment
	keys     []chain.Key
	// spaces are the network namespaces that can be found, by cookie.
	spaces map[uint64]string
	// live are the records of chains that are not dead.
	live map[chain.Key]*record.Record
	// gone are the chains whose interface is gone.
	gone map[chain.Key]bool
	// unreadable says that there are records that cannot be read: what they need is not
	// known.
	unreadable bool
	// attached are the networks that have attachments that are no leftovers.
	attached map[string]bool

	found []Leftover
	errs  []error
}

func (n *Node) survey() (*survey, error) {
	s := &survey{
		node: n, records: n.Records.ReadOnly(),
		live: make(map[chain.Key]*record.Record), gone: make(map[chain.Key]bool), attached: make(map[string]bool),
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
	if s.keys, err = n.keys(); err != nil {
		return nil, err
	}
	s.spaces, err = namespacesByCookie()
	return s, err
}

// namespacesByCookie opens every network namespace that can be found for a moment.
func namespacesByCookie() (map[uint64]string, error) {
	paths, err := netdev.Namespaces()
	if err != nil {
		return nil, err
	}
	spaces := make(map[uint64]string, len(paths))
	for _, path := range paths {
		ns, err := netdev.OpenNetNS(path)
		if errors.Is(err, netdev.ErrNetNSGone) {
			continue
		}
		if err != nil {
			return nil, err
		}
		spaces[ns.Cookie()] = path
		ns.Close()
	}
	return spaces, nil
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
	why, err := s.whyDead(key, rec)
	if err != nil {
		return err
	}
	remove := func(ctx context.Context) (bool, error) {
		err := s.node.sweep(ctx, key)
		return !s.node.knows(key), err
	}
	switch {
	case why != "" && rec == nil:
		s.add(LeftoverPins, key.String(), why, remove)
		return nil
	case why != "":
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
		if err := s.node.sweep(ctx, key); err != nil {
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

// whyDead says why a chain can be taken away without anybody missing it, as far as that is
// seen without its lock; nothing where it cannot. rec is nil where there is none.
func (s *survey) whyDead(key chain.Key, rec *record.Record) (string, error) {
	alive, err := s.node.linkAlive(key)
	switch {
	case alive || err != nil:
		return "", err
	case rec == nil:
		return "they have no record, and no link holds the chain on an interface", nil
	case rec.State == nil && rec.Pending == nil:
		return "it never came to run", nil
	}
	iface, why, err := s.interfaceOf(key, rec)
	if iface == nil && err == nil {
		if moved, err := s.moved(rec); moved || err != nil {
			return "", err
		}
		s.gone[key] = true
		return why, nil
	}
	if err != nil {
		return "", err
	}
	defer iface.NetNS.Close()
	if left, err := s.node.leftToLibxdp(rec, iface); !left || err != nil {
		return "", err
	}
	return "its members have left, and libxdp's tools have taken theirs off", nil
}

// interfaceOf finds the interface of a chain, also where the recorded path of its namespace
// does not lead there any more, or says why there is none. The caller closes its namespace.
func (s *survey) interfaceOf(key chain.Key, rec *record.Record) (iface *netdev.Interface, why string, err error) {
	if rec != nil {
		if iface, err = reopen(rec); iface != nil || err != nil {
			return iface, "", err
		}
	}
	path, there := s.spaces[key.Cookie]
	if !there {
		return nil, "its network namespace is gone", nil
	}
	if iface, err = reopenAt(path, key); iface != nil || err != nil {
		return iface, "", err
	}
	if rec == nil {
		return nil, "its interface is gone", nil
	}
	return nil, fmt.Sprintf("its interface %s is gone", rec.Interface), nil
}

// knows tells whether a chain has a record or a folder of pins.
func (n *Node) knows(key chain.Key) bool {
	keys, err := n.keys()
	return err != nil || slices.Contains(keys, key)
}
