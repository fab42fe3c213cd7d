// SPDX-License-Identifier: Apache-2.0

package dispatcher

import (
	"context"

	"github.com/xdp-chain/xdp-chain/pkg/chain"
)

// Dispatcher makes chains of one kind. Its methods may be called by several
// goroutines at once.
type Dispatcher interface {
	// Kind says which dispatcher it is.
	Kind() chain.Dispatcher

	// MaxMembers is the largest number of members in a chain.
	MaxMembers() int

	// Build loads a chain of at least one member, given in any order. The maps it
	// makes are new, but for those the members bring. ctx bounds the time between
	// system calls only; a load that has begun is finished.
	//
	// Errors that satisfy errors.Is: chain.ErrTooManyMembers, chain.ErrInvalid for
	// members that can stand in no chain, [ErrRefused] (a *[RefusedError]) for a
	// member the verifier refuses, [ErrNotLinkable] and what wraps it, [ErrNoBTF],
	// [ErrProgramArray], [ErrMapRefused], [ErrNotPermitted], ebpf.ErrMapIncompatible for
	// a given map that does not fit, and ebpf.ErrNotSupported where the kernel lacks
	// something.
	Build(ctx context.Context, members []Member, opts Options) (*Built, error)
}

// Options are the choices of a chain that its members have no part in.
type Options struct {
	// Counters makes the chain count each packet once. False costs nothing at
	// run time.
	Counters bool
	// Ifindex is the interface whose hardware shall run the chain (mode offload),
	// otherwise 0.
	Ifindex int
	// InNetNS runs a function in the network namespace of the chain's interface: the
	// interfaces in the entries of devmaps are of that one. Nil is the process's own.
	InNetNS func(func() error) error
	// TXByRedirect makes the verdict tx a redirect to the interface that the frame came
	// from, which is counted as tx all the same. A veth gives both to its other end. But
	// where that polls (NAPI) for GRO's sake and has no XDP program, the driver wakes
	// it for redirected frames alone; those of XDP_TX would stay in its queue
	// (veth_xdp_flush of drivers/net/veth.c, up to Linux 6.18 at least). Only the linked
	// dispatcher can do that.
	TXByRedirect bool
}
