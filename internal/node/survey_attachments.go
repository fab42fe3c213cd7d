// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"errors"
	"io/fs"
	"strings"

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
		owner := record.Owner{Kind: record.OwnerAttachment, Network: a.Network, ContainerID: a.ContainerID, Ifname: a.Ifname}
		// It keeps the index where one of the chains still has a record.
		if err := s.node.forgetDead(ctx, []record.Owner{owner}); err != nil {
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
	if rec := s.live[key]; rec != nil || s.gone[key] {
		return rec == nil, nil
	}
	iface, _, err := s.interfaceOf(key, nil)
	if iface != nil {
		iface.NetNS.Close()
	}
	return iface == nil && err == nil, err
}
