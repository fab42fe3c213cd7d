// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"errors"
	"io/fs"
	"strings"

	"github.com/xdp-chain/xdp-chain/pkg/chain"
	"github.com/xdp-chain/xdp-chain/pkg/record"
)

// attachments finds the indexes of attachments whose interfaces are all gone. One that has
// interfaces and no chain may be of an ADD that is about to make them.
func (s *survey) attachments() {
	networks, err := s.records.Networks()
	s.fail("look at attachments", err)
	for _, network := range networks {
		list, err := s.records.Attachments(network)
		if err != nil {
			s.attached[network] = true
			s.errs = append(s.errs, err)
		}
		for _, a := range list {
			dead := len(a.Keys) > 0
			for _, key := range a.Keys {
				gone, err := s.isGone(key)
				s.fail("look at an attachment to network "+network, err)
				dead = dead && gone && err == nil
			}
			if !dead {
				s.attached[network] = true
				continue
			}
			s.attachment(a)
		}
	}
}

func (s *survey) attachment(a record.Attachment) {
	name := strings.Join([]string{a.Network, a.ContainerID, a.Ifname}, "/")
	s.add(LeftoverAttachment, name, "its interfaces are gone", func(ctx context.Context) (bool, error) {
		owner := record.Owner{Kind: record.OwnerAttachment, Network: a.Network, ContainerID: a.ContainerID, Ifname: a.Ifname}
		// It keeps the index where one of the chains still has a record.
		if err := s.node.forgetDead(ctx, []record.Owner{owner}); err != nil {
			return false, err
		}
		_, err := s.records.LoadAttachment(a.Network, a.ContainerID, a.Ifname)
		return errors.Is(err, fs.ErrNotExist), nil
	})
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
