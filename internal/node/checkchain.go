// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"errors"
	"fmt"

	"github.com/xdp-chain/xdp-chain/internal/config"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
	"github.com/xdp-chain/xdp-chain/pkg/netdev"
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
// its members: what [Node.Check] does with one attachment's configuration besides. While
// somebody changes the chain it waits, as long as ctx allows; a change whose process was
// killed it finishes or takes back first. A chain that is not there satisfies
// errors.Is(err, [ErrNoChain]).
func (n *Node) CheckChain(ctx context.Context, key chain.Key) (CheckedChain, error) {
	c := CheckedChain{Key: key, Differences: []string{}}
	_, err := n.Records.ReadOnly().Load(key)
	recorded := err == nil // what is wrong with it shows once the chain is held
	if !recorded && !n.knows(key) {
		return c, fmt.Errorf("%w: %s", ErrNoChain, key)
	}
	t, err := n.hold(ctx, key, nil)
	if err != nil {
		return c, err
	}
	defer t.release()
	switch {
	case t.rec == nil && recorded && n.wasRemoved(key):
		return c, fmt.Errorf("%w: %s was removed meanwhile", ErrNoChain, key)
	case t.rec == nil:
		return c, t.checkUnrecorded(&c)
	case t.iface == nil:
		err = t.seek()
	}
	c.Interface, c.NetNS, c.Side = t.rec.Interface, t.rec.NetNS, t.rec.Side
	if err == nil {
		err = t.checkRecorded(&c)
	}
	if err != nil {
		return c, fmt.Errorf("chain %s: %w", key, err)
	}
	return c, nil
}

// checkRecorded says what differs from the record.
func (t *tenure) checkRecorded(c *CheckedChain) error {
	if t.rec.State == nil {
		c.Differences = append(c.Differences, "it never came to run, and its process was killed")
		return nil
	}
	if t.iface == nil {
		alive, err := t.node.linkAlive(t.lock.Key())
		if err == nil && alive {
			err = fmt.Errorf("%w: it runs on %s, and no path leads to its network namespace", netdev.ErrNetNSGone, t.rec.Interface)
		}
		c.Differences = append(c.Differences, "its interface is gone")
		return err
	}
	if t.moved() {
		c.Differences = append(c.Differences, "its interface was moved to another network namespace, where it can be taken off and not be changed")
	}
	differences, err := t.differences()
	c.Differences = append(c.Differences, differences...)
	return err
}

// CheckAll is [Node.CheckChain] for every chain of the node, by key. Chains that could not
// be looked at are in the error.
func (n *Node) CheckAll(ctx context.Context) ([]CheckedChain, error) {
	keys, err := n.keys()
	if err != nil {
		return nil, err
	}
	list := make([]CheckedChain, 0, len(keys))
	var errs []error
	for _, key := range keys {
		c, err := n.CheckChain(ctx, key)
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
func (n *Node) wasRemoved(key chain.Key) bool {
	alive, err := n.linkAlive(key)
	return !alive && err == nil
}

// checkUnrecorded says what there is of a chain whose record is lost.
func (t *tenure) checkUnrecorded(c *CheckedChain) error {
	alive, err := t.node.linkAlive(t.lock.Key())
	if err != nil {
		return err
	}
	what := "no link holds it on an interface; xdpctl gc removes its pins"
	if alive {
		what = "its link still holds it on its interface, until the pod goes or the link's pin is removed"
	}
	c.Differences = append(c.Differences, "its record is missing or broken, so that it can be neither shown nor changed; "+what)
	return nil
}
