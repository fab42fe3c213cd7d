// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"context"
	"errors"
	"fmt"

	"github.com/xdp-chain/xdp-chain/internal/config"
	"github.com/xdp-chain/xdp-chain/internal/node/change"
	"github.com/xdp-chain/xdp-chain/internal/node/state"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
)

// ErrNoChain is wrapped by every error about a chain that the node does not have.
var ErrNoChain = errors.New("no such chain")

// CheckedChain is a chain that was compared with what the kernel runs. Its JSON form is
// stable: fields are added, none is taken away or given another meaning.
type CheckedChain struct {
	Key chain.Key `json:"key"`
	// Interface, NetNS and Side are empty where the chain's record is lost.
	Interface string      `json:"interface,omitempty"`
	NetNS     string      `json:"netns,omitempty"`
	Side      config.Side `json:"side"`
	// Differences says, a sentence each, what the kernel and bpffs have that the record
	// does not say. None: the chain is as it should be.
	Differences []string `json:"differences"`
}

// CheckChain compares what is recorded of a chain with what the kernel runs, whoever owns
// its members: what [node.Node.Check] does with one attachment's configuration besides. While
// somebody changes the chain it waits, as long as ctx allows; a change whose process was
// killed it finishes or takes back first. A chain that is not there satisfies
// errors.Is(err, [ErrNoChain]).
func CheckChain(ctx context.Context, n *state.Node, key chain.Key) (CheckedChain, error) {
	c := CheckedChain{Key: key, Differences: []string{}}
	_, err := n.Records.ReadOnly().Load(key)
	recorded := err == nil // what is wrong with it shows once the chain is held
	if !recorded && !n.Knows(key) {
		return c, fmt.Errorf("%w: %s", ErrNoChain, key)
	}
	lc, err := change.Lock(ctx, n, key, nil)
	if err != nil {
		return c, err
	}
	defer lc.Unlock()
	if lc.Record() == nil && recorded && wasRemoved(n, key) {
		return c, fmt.Errorf("%w: %s was removed meanwhile", ErrNoChain, key)
	}
	differences, err := lc.Differences()
	c.Differences = append(c.Differences, differences...)
	if rec := lc.Record(); rec != nil {
		c.Interface, c.NetNS, c.Side = rec.Interface, rec.NetNS, rec.Side
	}
	if err != nil {
		return c, fmt.Errorf("chain %s: %w", key, err)
	}
	return c, nil
}

// CheckAll is [CheckChain] for every chain of the node, by key. Chains that could not
// be looked at are in the error.
func CheckAll(ctx context.Context, n *state.Node) ([]CheckedChain, error) {
	keys, err := n.Keys()
	if err != nil {
		return nil, err
	}
	list := make([]CheckedChain, 0, len(keys))
	var errs []error
	for _, key := range keys {
		c, err := CheckChain(ctx, n, key)
		switch {
		case err == nil:
			list = append(list, c)
		case !errors.Is(err, ErrNoChain): // else removed since
			errs = append(errs, err)
		}
	}
	return list, errors.Join(errs...)
}

// wasRemoved tells whether the record of a chain that is held is gone rather than broken.
func wasRemoved(n *state.Node, key chain.Key) bool {
	alive, err := n.LinkAlive(key)
	return !alive && err == nil
}
