// SPDX-License-Identifier: Apache-2.0

package node

import (
	"errors"

	"github.com/xdp-chain/xdp-chain/pkg/chain"
	"github.com/xdp-chain/xdp-chain/pkg/netdev"
)

// stopped returns the recorded chains whose interface is there and does not run them:
// somebody removed the pin of the link, or bpffs was unmounted.
func (n *Node) stopped(recorded []chain.Key) ([]string, error) {
	var stopped []string
	var errs []error
	for _, key := range recorded {
		is, err := n.isStopped(key)
		if err != nil {
			errs = append(errs, err)
		}
		if is {
			stopped = append(stopped, key.String())
		}
	}
	return stopped, errors.Join(errs...)
}

// isStopped takes no lock: it looks at the kernel first, and believes it if nobody has
// come to work on the chain, and the record is the same after that.
func (n *Node) isStopped(key chain.Key) (bool, error) {
	records := n.Records.ReadOnly()
	before, err := records.Load(key)
	if err != nil || before.State == nil {
		return false, nil // what is wrong with it is Leftovers' to say
	}
	iface, err := reopenAt(before.NetNS, key)
	if iface == nil || err != nil {
		return false, err // gone, or moved
	}
	defer iface.NetNS.Close()
	attached, err := iface.Attached()
	if errors.Is(err, netdev.ErrNoInterface) {
		return false, nil
	}
	if err != nil || attached.ProgramID != 0 {
		return false, err
	}
	if busy, err := n.BPFFS.Busy(key); busy || err != nil {
		return false, err
	}
	after, err := records.Load(key)
	return err == nil && after.State != nil && after.State.ProgramID == before.State.ProgramID, nil
}
