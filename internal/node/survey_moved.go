// SPDX-License-Identifier: Apache-2.0

package node

import (
	"github.com/cilium/ebpf"

	"github.com/xdp-chain/xdp-chain/internal/record"
)

// moved tells whether an operator's chain, which no link tells of, went to another namespace
// with its interface.
func (s *survey) moved(rec *record.Record) (bool, error) {
	if !hasOwner(rec, byHand) {
		return false, nil
	}
	for _, path := range s.spaces {
		iface, err := interfaceWith(path, func(id ebpf.ProgramID) bool { return generationOf(rec, uint32(id)) != nil })
		if err != nil {
			return false, err
		}
		if iface != nil {
			return true, iface.NetNS.Close()
		}
	}
	return false, nil
}
