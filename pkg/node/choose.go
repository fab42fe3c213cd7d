// SPDX-License-Identifier: Apache-2.0

package node

import (
	"fmt"

	"github.com/xdp-chain/xdp-chain/pkg/chain"
	"github.com/xdp-chain/xdp-chain/pkg/dispatcher"
	"github.com/xdp-chain/xdp-chain/pkg/dispatcher/linked"
)

// choose returns the dispatcher for what was asked for, and why it is that one.
func choose(asked chain.Dispatcher) (d dispatcher.Dispatcher, reason string, err error) {
	switch asked {
	case chain.DispatcherAuto:
		return linked.New(), "auto takes it wherever the members can be linked", nil
	case chain.DispatcherLinked:
		return linked.New(), "asked for", nil
	default:
		return nil, "", fmt.Errorf("%w: dispatcher %s is not in this version; use auto or linked", chain.ErrInvalid, asked)
	}
}
