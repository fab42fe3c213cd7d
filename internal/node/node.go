// SPDX-License-Identifier: Apache-2.0

package node

import (
	"errors"

	"github.com/xdp-chain/xdp-chain/internal/record"
	"github.com/xdp-chain/xdp-chain/internal/store"
	"github.com/xdp-chain/xdp-chain/pkg/pin"
)

// ErrDiffers is wrapped by every difference that [Node.Check] finds between what is
// recorded or configured and what the kernel has.
var ErrDiffers = errors.New("the chain differs")

// Node is where the chains of one node live: its bpffs, its records and its
// store of objects. Its methods may be called from many processes at once.
type Node struct {
	BPFFS   pin.Tree
	Records record.Dir
	Store   store.Store
}

// Default returns the node with the paths that the plugin and xdpctl share.
func Default() *Node {
	return &Node{
		BPFFS:   pin.Tree{Root: pin.DefaultRoot},
		Records: record.Dir{Root: record.DefaultRoot},
		Store:   store.Store{Dir: store.DefaultDir},
	}
}
