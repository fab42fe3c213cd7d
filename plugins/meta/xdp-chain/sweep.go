// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"log/slog"
	"time"

	"github.com/xdp-chain/xdp-chain/internal/node"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
)

// lookForDead begins to look for a few chains whose interfaces are gone: containerd
// never calls GC. Whatever goes wrong with them is not this pod's business. It changes
// nothing, and the process may end before it has found any.
func lookForDead(n *node.Node, log *slog.Logger) <-chan []chain.Key {
	found := make(chan []chain.Key, 1)
	go func() {
		keys, err := n.Dead(sweepLimit)
		if err != nil {
			log.Warn("looking for chains whose interfaces are gone", "error", err)
		}
		found <- keys
	}()
	return found
}

// bury takes away the chains that were found.
func bury(n *node.Node, found <-chan []chain.Key, log *slog.Logger) {
	select {
	case keys := <-found:
		ctx, cancel := context.WithTimeout(context.Background(), sweepPatience)
		defer cancel()
		if err := n.Bury(ctx, keys); err != nil {
			log.Warn("sweep of chains whose interfaces are gone", "error", err)
		}
	case <-time.After(lookPatience):
	}
}
