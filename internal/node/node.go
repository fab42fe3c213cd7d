// SPDX-License-Identifier: Apache-2.0

package node

import (
	"github.com/xdp-chain/xdp-chain/internal/node/state"
)

// Node is the chains of one node, and what changes them. What only looks at them is in the
// packages inspect and doctor, which take the [state.Node] in it. Its methods may be called
// from many processes at once.
type Node struct{ *state.Node }

// Default returns the node with the paths that the plugin and xdpctl share.
func Default() *Node { return &Node{state.Default()} }
