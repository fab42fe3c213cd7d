// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"fmt"
	"slices"

	"github.com/xdp-chain/xdp-chain/internal/config"
	"github.com/xdp-chain/xdp-chain/internal/enum"
	"github.com/xdp-chain/xdp-chain/internal/node/change"
	"github.com/xdp-chain/xdp-chain/internal/node/resolve"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
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

// PlannedChain is the chain that an interface would get. Its JSON form is stable: fields are
// added, none is taken away or given another meaning.
type PlannedChain struct {
	Side config.Side `json:"side"`
	// Members in running order.
	Members []PlannedMember `json:"members"`
}

// PlannedMember is a member of such a chain.
type PlannedMember struct {
	chain.Member
	// Position is the member's rank in the running order, from 0.
	Position int `json:"position"`
	// Source is who asks for it.
	Source Source `json:"source"`
	// Origin is where its object comes from: a path, or the name of a built-in.
	Origin string `json:"origin"`
	// CatalogFile is the catalog file that gives it; empty where none does.
	CatalogFile string `json:"catalogFile,omitempty"`
}

// Source says who asks for a member. The zero value is SourceConflist.
type Source uint8

// The sources of members.
const (
	// SourceConflist is the network's configuration.
	SourceConflist Source = iota
	// SourceAnnotation is an annotation of the pod.
	SourceAnnotation
)

var sourceNames = enum.Names[Source]{
	What: "source", Invalid: chain.ErrInvalid, List: []string{"conflist", "annotation"},
}

// Preview returns the chains that Apply would give to an attachment, the pod's side
// first, or why it would refuse to. It reads the objects' files and touches nothing:
// neither the kernel, which may yet refuse a program, nor the node's state. The names of the
// attachment, its namespace and what its pod got are not looked at.
func Preview(a resolve.Attachment) ([]PlannedChain, error) {
	a.Pod = resolve.ExamplePod
	resolved, err := resolve.NewResolver(a.Catalog).Sides(&a)
	if err != nil {
		return nil, err
	}
	list := []PlannedChain{}
	for _, side := range []config.Side{config.PodSide, config.HostSide} {
		if len(resolved[side]) == 0 {
			continue
		}
		if err := change.CheckCount(resolved[side], a.Dispatcher); err != nil {
			return nil, fmt.Errorf("side %s: %w", side, err)
		}
		list = append(list, PlannedChain{Side: side, Members: planned(resolved[side])})
	}
	return list, nil
}

func planned(resolved []resolve.Member) []PlannedMember {
	slices.SortFunc(resolved, func(a, b resolve.Member) int { return chain.Compare(a.Record.Member, b.Record.Member) })
	members := make([]PlannedMember, len(resolved))
	for i, m := range resolved {
		members[i] = PlannedMember{
			Member: m.Record.Member, Position: i, Source: SourceConflist,
			Origin: m.Object.Origin, CatalogFile: m.CatalogFile,
		}
		if m.Record.FromAnnotation {
			members[i].Source = SourceAnnotation
		}
	}
	return members
}
