// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"

	"github.com/cilium/ebpf"

	"github.com/xdp-chain/xdp-chain/internal/config"
	"github.com/xdp-chain/xdp-chain/internal/record"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
	"github.com/xdp-chain/xdp-chain/pkg/dispatcher"
	"github.com/xdp-chain/xdp-chain/pkg/object"
)

// examplePod stands for the pods to come: addresses of the documentation ranges
// (RFC 5737, RFC 3849) and of the locally administered MAC range.
var examplePod = object.Pod{
	IP: netip.MustParseAddr("192.0.2.1"), IP6: netip.MustParseAddr("2001:db8::1"),
	MAC: net.HardwareAddr{0x02, 0, 0, 0, 0, 1}, Ifindex: 2, Name: "pod", Namespace: "default",
}

// Status tells whether Apply could work for attachments like this one: it makes
// sure of bpffs, has the kernel verify each side's chain for an example pod,
// without attaching it, and puts the objects into the store, where the next ADD
// finds them. The whole catalog has to be right, and each of the programs that pods may
// ask for has to go into the chain. NetNS and names of the attachment are not looked at.
func (n *Node) Status(ctx context.Context, a Attachment, allowed ...string) error {
	if err := n.BPFFS.Ensure(); err != nil {
		return err
	}
	return n.tryAll(ctx, a, allowed, n.storeObjects)
}

// Verify is Status without what that changes: it mounts no bpffs, and stores nothing but
// what was found out about the kernel.
func (n *Node) Verify(ctx context.Context, a Attachment, allowed ...string) error {
	return n.tryAll(ctx, a, allowed, func(map[config.Side][]wanted) error { return nil })
}

// tryAll tries the catalog, the attachment's chains and those of pods that ask for a
// program, and hands the members of each that can be built to keep.
func (n *Node) tryAll(ctx context.Context, a Attachment, allowed []string, keep func(map[config.Side][]wanted) error) error {
	if err := a.Catalog.Check(); err != nil {
		return err
	}
	a.Pod = examplePod
	r := newResolver(a.Catalog)
	attachments := []*Attachment{&a}
	for _, name := range allowed {
		attachments = append(attachments, a.asking(name))
	}
	for _, a := range attachments {
		wants, err := n.tryChains(ctx, r, a)
		if err == nil {
			err = keep(wants)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// asking returns the attachment of a pod that asks for a program at the end of the chain.
// A program of that name that the configuration lists makes room for it: then every pod
// that asks for it is refused, and the question is only whether it is right.
func (a *Attachment) asking(name string) *Attachment {
	asking := *a
	asking.Programs = slices.DeleteFunc(slices.Clone(a.Programs), func(p config.Program) bool {
		return p.Name == name || p.Side != nil && *p.Side != a.Side
	})
	last := chain.MaxPriority
	asking.Programs = append(asking.Programs, config.Program{Name: name, Priority: &last, Band: &config.Band{Min: last, Max: last}})
	return &asking
}

// tryChains builds an attachment's chains, and returns their members.
func (n *Node) tryChains(ctx context.Context, r *resolver, a *Attachment) (map[config.Side][]wanted, error) {
	wants, err := resolveSides(r, a, nil, a.sides())
	if err != nil {
		return nil, err
	}
	for _, list := range wants {
		if err := n.tryBuild(ctx, a.requested(), list, dispatcher.Options{Counters: a.Counters}); err != nil {
			return nil, err
		}
	}
	return wants, nil
}

// tryBuild builds a chain as an interface that carries none would get it, and lets it
// go.
func (n *Node) tryBuild(ctx context.Context, asked record.Requested, list []wanted, opts dispatcher.Options) error {
	c, err := n.choose(asked)
	if err != nil {
		return err
	}
	_, err = tryWith(ctx, c, list, opts)
	if err == nil {
		return nil
	}
	if c, err = n.fallBack(ctx, asked, list, err); err != nil {
		return err
	}
	_, err = tryWith(ctx, c, list, opts)
	return c.blame(err)
}

// tryWith builds a chain with one dispatcher, and lets it go. It tells whether the chain
// takes packets of several buffers.
func tryWith(ctx context.Context, c choice, list []wanted, opts dispatcher.Options) (frags bool, err error) {
	members := make([]dispatcher.Member, 0, len(list))
	for _, w := range list {
		pinned, err := pinnedMaps(&w)
		if err != nil {
			return false, fmt.Errorf("program %q: %w", w.Name, err)
		}
		defer closeMaps(pinned)
		members = append(members, dispatcher.Member{Member: w.Member.Member, Spec: w.program.Spec, Maps: pinned})
	}
	if err := checkCount(&plan{members: list}, c, nil); err != nil {
		return false, err
	}
	// There is no interface yet whose namespace could have those of devmaps' entries.
	opts.InNetNS = func(func() error) error { return nil }
	built, err := c.Build(ctx, members, opts)
	if err != nil {
		return false, err
	}
	frags = built.Frags
	return frags, built.Close()
}

// pinnedMaps opens the maps of a member that somebody else has to have pinned.
func pinnedMaps(w *wanted) (map[string]*ebpf.Map, error) {
	opened := make(map[string]*ebpf.Map)
	for name, settings := range w.Maps {
		if settings.Pinned == "" {
			continue
		}
		m, err := openPinned(settings.Pinned, w.program.Spec.Maps[name])
		if err != nil {
			closeMaps(opened)
			return nil, fmt.Errorf("map %q: %w", name, err)
		}
		opened[name] = m
	}
	return opened, nil
}
