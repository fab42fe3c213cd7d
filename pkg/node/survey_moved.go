// SPDX-License-Identifier: Apache-2.0

package node

import (
	"errors"
	"slices"

	"github.com/xdp-chain/xdp-chain/pkg/netdev"
	"github.com/xdp-chain/xdp-chain/pkg/record"
)

// moved tells whether an operator's chain, which no link tells of, went to another namespace
// with its interface.
func (s *survey) moved(rec *record.Record) (bool, error) {
	if !hasOwner(rec, byHand) {
		return false, nil
	}
	for _, path := range s.spaces {
		ns, err := netdev.OpenNetNS(path)
		if errors.Is(err, netdev.ErrNetNSGone) {
			continue
		}
		if err != nil {
			return false, err
		}
		hooks, err := ns.Hooks()
		ns.Close()
		if err != nil {
			return false, err
		}
		for _, h := range hooks {
			if slices.ContainsFunc(h.Programs, func(a netdev.Attached) bool { return runsRecorded(rec, uint32(a.ProgramID)) }) {
				return true, nil
			}
		}
	}
	return false, nil
}

// runsRecorded tells whether a program is the dispatcher of a generation that is recorded.
func runsRecorded(rec *record.Record, id uint32) bool {
	for _, s := range []*record.State{rec.State, rec.Pending} {
		if s != nil && id != 0 && id == s.ProgramID {
			return true
		}
	}
	return false
}
