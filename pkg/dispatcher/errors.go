// SPDX-License-Identifier: Apache-2.0

package dispatcher

import (
	"errors"
	"fmt"

	"github.com/xdp-chain/xdp-chain/internal/bpfspec"
)

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
	ErrProgramArray = errors.New("programs that tail calls lead to are not loaded with a member")

	// ErrMapRefused says that the kernel refused to make a map, or to fill it, as the
	// object or the settings of the map ask for it: its type, sizes, flags or entries
	// (EINVAL or E2BIG of bpf(2)).
	ErrMapRefused = bpfspec.ErrMapRefused

	// ErrNoCounters says that a chain was built without counters.
	ErrNoCounters = errors.New("the chain does not count packets: it was built without counters, or by a dispatcher that has none")

	// ErrNotPermitted says that the kernel refused this process, whatever the program.
	ErrNotPermitted = errors.New("the kernel does not let this process load BPF programs and maps: " +
		"it needs CAP_BPF and CAP_NET_ADMIN (or CAP_SYS_ADMIN), and before Linux 5.11 an RLIMIT_MEMLOCK that is large enough")

	// ErrRefused says that the verifier refused a member. Each such error is a
	// [RefusedError].
	ErrRefused = errors.New("refused by the verifier")
)

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
