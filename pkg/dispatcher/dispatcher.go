// SPDX-License-Identifier: Apache-2.0

package dispatcher

import (
	"context"
	"errors"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"

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

// Member is a program and its place in a chain. Beware of the zero values of the place:
// priority 0 runs first, and an empty ProceedOn makes every verdict final. What most want
// is [chain.DefaultPriority] and [chain.DefaultProceedOn].
type Member struct {
	chain.Member
	// Spec is the object that the program is from: what ebpf.LoadCollectionSpec returns,
	// or the Spec of an object.Program, which has globals and entries set. Of its programs
	// Build takes the one that Function names, or the only XDP program there is where
	// Function is empty; maps that only the others refer to are not made. Entries of
	// devmaps and cpumaps may be a [chain.EntryProgram], the name of another program of
	// the Spec. Build does not change it. Nil for a member that somebody else put into a
	// libxdp chain; then Loaded is not.
	Spec *ebpf.CollectionSpec
	// Maps are existing maps to use instead of new ones, by their key in Spec.Maps;
	// data sections such as ".bss" may be among them. They stay the caller's.
	Maps map[string]*ebpf.Map
	// Loaded is the member's extension program where a dispatcher of kind libxdp
	// loaded it before: it is attached again, not loaded, and the maps that it uses
	// are to be in Maps. It stays the caller's. Nil otherwise.
	Loaded *ebpf.Program
	// Frags says of a member without Spec that it takes packets of several buffers.
	// The kernel does not tell it of an extension program, the config of the
	// dispatcher that it was found in does. Of others their Spec says it.
	Frags bool
}

// Built is a loaded chain that sits on no interface yet. It owns its file
// descriptors; the kernel keeps what is attached or pinned by the time of Close.
type Built struct {
	// Program is what goes on the interface.
	Program *ebpf.Program
	// Members are the places of the members in running order. Function is filled in.
	Members []chain.Member
	// Counters is the map that [Built.ReadCounters] and [ReadCounters] read, nil without
	// counters.
	Counters *ebpf.Map
	// Maps holds every map of every member: by member name, then by key in the
	// member's Spec.Maps. Maps that the member brought are here as clones.
	Maps map[string]map[string]*ebpf.Map
	// Frags reports whether the chain takes packets of several buffers: true if and
	// only if every member does.
	Frags bool
	// Slots are the programs and links of Members, in the same order, where a dispatcher
	// loads each member as a program of its own (libxdp), otherwise nil.
	Slots []Slot
}

// Close closes every file descriptor. A nil Built, or one that was closed
// before, is left as it is.
func (b *Built) Close() error {
	if b == nil {
		return nil
	}
	errs := []error{b.Program.Close(), b.Counters.Close()}
	for _, maps := range b.Maps {
		for _, m := range maps {
			errs = append(errs, m.Close())
		}
	}
	for _, s := range b.Slots {
		if s.Link != nil {
			errs = append(errs, s.Link.Close())
		}
		errs = append(errs, s.Program.Close())
	}
	*b = Built{}
	return errors.Join(errs...)
}

// ReadCounters returns how many packets each member has decided since the chain was
// built, by verdict: what [ReadCounters] returns. A chain that does not count, because it
// was not asked to or cannot (libxdp's), is [ErrNoCounters].
func (b *Built) ReadCounters() ([]chain.Count, error) {
	if b.Counters == nil {
		return nil, ErrNoCounters
	}
	return ReadCounters(b.Counters, b.Members)
}

// Slot is a place of a libxdp dispatcher with the program in it. It belongs to the
// [Built] that holds it.
type Slot struct {
	// Member is the name of the member.
	Member string
	// Program is its extension program, newly loaded or the one that the member
	// brought ([Member.Loaded]).
	Program *ebpf.Program
	// Link holds the program in the dispatcher. When its last file descriptor and
	// its last pin are gone, the slot is empty.
	Link link.Link
}
