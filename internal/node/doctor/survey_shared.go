// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/xdp-chain/xdp-chain/internal/node/state"
	"github.com/xdp-chain/xdp-chain/internal/record"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
)

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
		if state.HasOwner(rec, state.ManualOwner) {
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
