// SPDX-License-Identifier: Apache-2.0

package dispatcher

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

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

// Member is a program and its place in a chain.
type Member struct {
	chain.Member
	// Spec holds the program, under the key Function, and every map and variable it
	// refers to, with globals and entries set. Entries of devmaps and cpumaps may be a
	// [chain.EntryProgram]; then it holds their programs as well, and no others. Build
	// does not change it. Nil for a member that somebody else put into a libxdp chain; then Loaded is not.
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

// Program returns the member's program. A spec that does not hold exactly that
// one, or a program that is not for the XDP hook of an interface, is an error that
// satisfies errors.Is(err, chain.ErrInvalid).
func (m *Member) Program() (*ebpf.ProgramSpec, error) {
	if m.Spec == nil || m.Spec.Programs[m.Function] == nil || !m.othersAreEntryPrograms() {
		return nil, fmt.Errorf("%w: member %q must hold the program %q and no other for an interface", chain.ErrInvalid, m.Name, m.Function)
	}
	p := m.Spec.Programs[m.Function]
	if p.Type != ebpf.XDP {
		return nil, fmt.Errorf("%w: program %q of member %q is of type %s; a chain holds XDP programs", chain.ErrInvalid, m.Function, m.Name, p.Type)
	}
	// Programs for the entries of a devmap or cpumap have an attach type of their
	// own. None is what libbpf and clang give a plain one for kernels before 5.9.
	if p.AttachType != ebpf.AttachXDP && p.AttachType != ebpf.AttachNone {
		return nil, fmt.Errorf("%w: program %q of member %q is to be attached as %s; a chain sits on an interface", chain.ErrInvalid, m.Function, m.Name, p.AttachType)
	}
	return p, nil
}

// othersAreEntryPrograms reports whether all programs but the member's are for entries of maps.
func (m *Member) othersAreEntryPrograms() bool {
	for name, p := range m.Spec.Programs {
		if name != m.Function && p.AttachType != ebpf.AttachXDPDevMap && p.AttachType != ebpf.AttachXDPCPUMap {
			return false
		}
	}
	return true
}

// Built is a loaded chain that sits on no interface yet. It owns its file
// descriptors; the kernel keeps what is attached or pinned by the time of Close.
type Built struct {
	// Program is what goes on the interface.
	Program *ebpf.Program
	// Counters is the map that [ReadCounters] reads, nil without counters.
	Counters *ebpf.Map
	// Maps holds every map of every member: by member name, then by key in the
	// member's Spec.Maps. Maps that the member brought are here as clones.
	Maps map[string]map[string]*ebpf.Map
	// Frags reports whether the chain takes packets of several buffers: true if and
	// only if every member does.
	Frags bool
	// Slots are the members' programs and links in running order, where a dispatcher
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

// Redirects reports whether a map is one whose entries can have entry programs: a
// devmap or a cpumap.
func Redirects(t ebpf.MapType) bool {
	return t == ebpf.DevMap || t == ebpf.DevMapHash || t == ebpf.CPUMap
}

// CounterRow is the value of the counters map on one CPU: packets by
// chain.Verdict, then padding. It matches the struct in [CountersSpec], of 64
// bytes so that a row is a cache line and its address a shift away.
type CounterRow [8]uint64

// CountersSpec returns the map in which a chain of so many members counts: a
// per-CPU array with key u32 position (the end of the chain last) and as value
//
//	struct verdicts {
//		__u64 aborted, drop, pass, tx, redirect, dispatcher_return, invalid;
//	} __attribute__((aligned(64)));
func CountersSpec(members int) *ebpf.MapSpec {
	u64 := &btf.Int{Name: "__u64", Size: 8}
	row := &btf.Struct{Name: "verdicts", Size: uint32(binary.Size(CounterRow{}))}
	for v := range chain.Verdicts {
		row.Members = append(row.Members, btf.Member{Name: chain.Verdict(v).String(), Type: u64, Offset: btf.Bits(64 * v)})
	}
	return &ebpf.MapSpec{
		Name:       "xdp_chain_count",
		Type:       ebpf.PerCPUArray,
		KeySize:    4,
		ValueSize:  row.Size,
		MaxEntries: uint32(members) + 1,
		Key:        &btf.Int{Name: "__u32", Size: 4},
		Value:      row,
	}
}

// ReadCounters reads the counters of a chain, given its members' names in running
// order, and returns the sums over all CPUs that are not zero, in the order of
// positions and then of verdicts. CPUs go on counting meanwhile: the rows are not
// of one instant, but no packet is counted twice or lost.
func ReadCounters(m *ebpf.Map, members []string) ([]chain.Count, error) {
	if int(m.MaxEntries()) != len(members)+1 {
		return nil, fmt.Errorf("%w: the counters %s are of a chain of %d members, not of %d", chain.ErrInvalid, m, int(m.MaxEntries())-1, len(members))
	}
	var counts []chain.Count
	var perCPU []CounterRow
	for position := range len(members) + 1 {
		if err := m.Lookup(uint32(position), &perCPU); err != nil {
			return nil, fmt.Errorf("reading the counters %s at position %d: %w", m, position, err)
		}
		name := chain.EndMember
		if position < len(members) {
			name = members[position]
		}
		for v := range chain.Verdicts {
			var packets uint64
			for _, row := range perCPU {
				packets += row[v]
			}
			if packets != 0 {
				counts = append(counts, chain.Count{Member: name, Verdict: chain.Verdict(v), Packets: packets})
			}
		}
	}
	return counts, nil
}

var (
	// ErrNotLinkable says that members cannot stand together in one program, though
	// each may be a good program by itself. A dispatcher that loads each member as a
	// program of its own may still take them.
	ErrNotLinkable = errors.New("the members cannot be linked into one program")

	// ErrMixedLicenses is a reason for [ErrNotLinkable]: a program has one licence,
	// and some members' are compatible with the GPL and some are not.
	ErrMixedLicenses = fmt.Errorf("%w: mixed licences", ErrNotLinkable)

	// ErrStackTooDeep is a reason for [ErrNotLinkable]: the frames of the dispatcher
	// and of a member's functions exceed 512 bytes or 8 calls.
	ErrStackTooDeep = fmt.Errorf("%w: the call stack is too deep", ErrNotLinkable)

	// ErrTooManyMaps is a reason for [ErrNotLinkable]: a program can use 64 maps
	// (MAX_USED_MAPS in the kernel's linux/bpf_verifier.h).
	ErrTooManyMaps = fmt.Errorf("%w: too many maps", ErrNotLinkable)

	// ErrNoBTF says that the object has no BTF for the function of a member that is to
	// be a program of its own behind a libxdp dispatcher.
	ErrNoBTF = errors.New("the object has no BTF for the function, by which the kernel knows that it fits into a slot of libxdp's dispatcher: " +
		"compile it with clang -g, and strip no more than the debug sections (llvm-strip -g)")

	// ErrProgramArray says that the object of a member fills a program array
	// (BPF_MAP_TYPE_PROG_ARRAY) with programs of its own. Those that its tail calls
	// would lead to are not loaded with the member, so the array cannot be filled.
	ErrProgramArray = errors.New("a chain loads no program but its members")

	// ErrMapRefused says that the kernel refused to make a map, or to fill it, as the
	// object or the settings of the map ask for it: its type, sizes, flags or entries.
	ErrMapRefused = errors.New("the kernel makes no such map")

	// ErrNotPermitted says that the kernel refused this process, whatever the program.
	ErrNotPermitted = errors.New("the kernel does not let this process load BPF programs and maps: " +
		"it needs CAP_BPF and CAP_NET_ADMIN (or CAP_SYS_ADMIN), and before Linux 5.11 an RLIMIT_MEMLOCK that is large enough")

	// ErrRefused says that the verifier refused a member. Each such error is a
	// [RefusedError].
	ErrRefused = errors.New("refused by the verifier")
)

// RefusedMap wraps an error of making or filling a map in [ErrMapRefused] where the
// kernel refuses what is asked for (EINVAL, E2BIG). Other errors it returns as they are,
// such as those about a kernel that lacks a feature or memory.
func RefusedMap(err error) error {
	refused := errors.Is(err, unix.EINVAL) || errors.Is(err, unix.E2BIG)
	if !refused || errors.Is(err, ebpf.ErrNotSupported) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrMapRefused, err)
}

// RefusedError says that the kernel's verifier refuses a member, by itself and
// whatever else is in the chain.
type RefusedError struct {
	// Member is the name of the member.
	Member string
	// Log holds the last lines of the verifier's log that say why, oldest first.
	// The lines before them, and the statistics after them, are left out.
	Log []string
	// Err is what the kernel returned.
	Err error
}

// Error names the member and gives the log's last line.
func (e *RefusedError) Error() string {
	reason := "the log is empty"
	if n := len(e.Log); n > 0 {
		reason = e.Log[n-1]
	}
	return fmt.Sprintf("member %q was %v: %s: %v", e.Member, ErrRefused, reason, e.Err)
}

// Unwrap returns the kernel's error.
func (e *RefusedError) Unwrap() error { return e.Err }

// Is reports whether target is [ErrRefused].
func (e *RefusedError) Is(target error) bool { return target == ErrRefused }
