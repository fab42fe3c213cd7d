// SPDX-License-Identifier: Apache-2.0

package netconf

import "github.com/xdp-chain/xdp-chain/pkg/node"

// Attachment returns what the configuration alone says about each attachment to
// its network.
func (c *Conf) Attachment() node.Attachment {
	return node.Attachment{
		Network: c.Name,
		Side:    c.Side, Mode: c.Mode, Attach: c.Attach, Dispatcher: c.Dispatcher, LibxdpVersion: c.LibxdpVersion,
		Counters: c.Counters,
		Programs: c.Programs,
	}
}
