// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"

	"github.com/xdp-chain/xdp-chain/internal/config"
	"github.com/xdp-chain/xdp-chain/internal/node/change"
	"github.com/xdp-chain/xdp-chain/internal/node/resolve"
	"github.com/xdp-chain/xdp-chain/pkg/dispatcher"
)

// Status tells whether Apply could work for attachments like this one: it makes
// sure of bpffs, has the kernel verify each side's chain for an example pod,
// without attaching it, and puts the objects into the store, where the next ADD
// finds them. The whole catalog has to be right, and each of the programs that pods may
// ask for has to go into the chain. NetNS and names of the attachment are not looked at.
func (n *Node) Status(ctx context.Context, a resolve.Attachment, allowed ...string) error {
	if err := n.BPFFS.Ensure(); err != nil {
		return err
	}
	return n.tryAll(ctx, a, allowed, n.storeObjects)
}

// Verify is Status without what that changes: it mounts no bpffs, and stores nothing but
// what was found out about the kernel.
func (n *Node) Verify(ctx context.Context, a resolve.Attachment, allowed ...string) error {
	return n.tryAll(ctx, a, allowed, func(map[config.Side][]resolve.Member) error { return nil })
}

// tryAll tries the catalog, the attachment's chains and those of pods that ask for a
// program, and hands the members of each that can be built to keep.
func (n *Node) tryAll(ctx context.Context, a resolve.Attachment, allowed []string, keep func(map[config.Side][]resolve.Member) error) error {
	if err := a.Catalog.Check(); err != nil {
		return err
	}
	a.Pod = resolve.ExamplePod
	r := resolve.NewResolver(a.Catalog)
	attachments := []*resolve.Attachment{&a}
	for _, name := range allowed {
		attachments = append(attachments, a.Asking(name))
	}
	for _, a := range attachments {
		members, err := n.tryChains(ctx, r, a)
		if err == nil {
			err = keep(members)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// tryChains builds an attachment's chains, and returns their members.
func (n *Node) tryChains(ctx context.Context, r *resolve.Resolver, a *resolve.Attachment) (map[config.Side][]resolve.Member, error) {
	members, err := r.Sides(a)
	if err != nil {
		return nil, err
	}
	for _, list := range members {
		if err := change.TryBuild(ctx, n.Node, a.Requested, list, dispatcher.Options{Counters: a.Counters}); err != nil {
			return nil, err
		}
	}
	return members, nil
}
