// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"slices"
	"strconv"
)

// maps finds the shared maps of networks that have no attachment.
func (s *survey) maps() {
	slices.Sort(s.networks)
	for _, network := range s.networks {
		busy, err := s.node.BPFFS.NodeBusy(network)
		s.fail("look at the shared maps of network "+network, err)
		if busy || err != nil {
			continue
		}
		if network == handNetwork {
			if !s.heldByHand() {
				s.add(LeftoverMaps, "members put in by hand", "none is left", func(ctx context.Context) (bool, error) {
					return s.droppedMaps(handNetwork, s.node.dropHandMaps(ctx))
				})
			}
			continue
		}
		if !s.attached[network] {
			s.add(LeftoverMaps, "network "+network, "it has no attachment", func(ctx context.Context) (bool, error) {
				return s.droppedMaps(network, s.node.dropNodeMaps(ctx, network))
			})
		}
	}
}

// heldByHand tells whether a chain has, or may have, members that were put in by hand.
func (s *survey) heldByHand() bool {
	for _, rec := range s.live {
		if hasOwner(rec, byHand) {
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
	slices.Sort(s.cookies)
	for _, cookie := range s.cookies {
		_, there := s.spaces[cookie]
		for key := range s.live {
			there = there || key.Cookie == cookie
		}
		if !there && !s.unreadable {
			s.add(LeftoverLibxdp, strconv.FormatUint(cookie, 10), "it is gone", func(ctx context.Context) (bool, error) {
				return s.node.dropLibxdpTree(ctx, cookie)
			})
		}
	}
}

// dropLibxdpTree removes the pins in a namespace's tree of libxdp's, and the tree with them
// unless something else is in it.
func (n *Node) dropLibxdpTree(ctx context.Context, cookie uint64) (bool, error) {
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
