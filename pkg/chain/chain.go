// SPDX-License-Identifier: Apache-2.0

package chain

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/xdp-chain/xdp-chain/internal/enum"
)

var (
	// ErrInvalid is wrapped by every error about a value that is wrong in type,
	// range or name.
	ErrInvalid = errors.New("invalid value")

	// ErrTooManyMembers is wrapped by every error about a chain that has more
	// members than its dispatcher can call.
	ErrTooManyMembers = errors.New("too many members")
)

const (
	// DefaultPriority is what a member gets that nobody gave a priority.
	DefaultPriority = 50
	// MaxPriority is the largest priority. libxdp's run_prio is an unsigned int
	// that its tools read as an int.
	MaxPriority = math.MaxInt32
	// MaxNameLength is the largest length of a program's name, in bytes.
	MaxNameLength = 63
)

// Member is a program that has its place in a chain.
type Member struct {
	// Name is unique in the chain.
	Name string `json:"name"`
	// Function is the name of the program in its object.
	Function string `json:"function"`
	// Priority orders the chain, 0 first.
	Priority int `json:"priority"`
	// ProceedOn holds the verdicts after which the next member runs.
	ProceedOn ActionSet `json:"proceedOn"`
}

// RunConfig is a source of defaults for a member: a catalog entry, or the
// .xdp_run_config of an object. Nil leaves the choice to the next source.
type RunConfig struct {
	Priority  *int
	ProceedOn *ActionSet
}

// Compare orders members as they run: priority ascending, then name bytewise.
func Compare(a, b Member) int {
	if c := cmp.Compare(a.Priority, b.Priority); c != 0 {
		return c
	}
	return strings.Compare(a.Name, b.Name)
}

// CheckMembers returns nil for members that can stand in one chain of at most
// limit members: every name right and there once. Errors satisfy
// errors.Is(err, [ErrInvalid]) or errors.Is(err, [ErrTooManyMembers]).
func CheckMembers(members []Member, limit int) error {
	if len(members) > limit {
		return fmt.Errorf("%w: the chain has %d, its dispatcher calls at most %d", ErrTooManyMembers, len(members), limit)
	}
	seen := make(map[string]bool, len(members))
	for _, m := range members {
		if err := CheckName(m.Name); err != nil {
			return err
		}
		if seen[m.Name] {
			return fmt.Errorf("%w: two members of the chain are named %q; names are unique on an interface", ErrInvalid, m.Name)
		}
		seen[m.Name] = true
	}
	return nil
}

// End is the position that [Decide] gives for a packet that went through the
// whole chain.
const End = -1

// Decide is the meaning of a chain: given its members in order and the values
// they would return, it tells which position decided (or [End]) and the chain's
// verdict. Values past the decision are not looked at.
func Decide(members []Member, returns []uint32) (position int, verdict uint32) {
	for i, m := range members {
		if v := returns[i]; !m.ProceedOn.HasVerdict(v) {
			return i, v
		}
	}
	return End, uint32(Pass)
}

// CheckName returns nil for a name that a member may have, otherwise an error
// that satisfies errors.Is(err, [ErrInvalid]).
func CheckName(name string) error {
	switch {
	case name == "":
		return fmt.Errorf("%w: name is empty; every program needs one", ErrInvalid)
	case len(name) > MaxNameLength:
		return fmt.Errorf("%w: name %.20q… has %d bytes, at most %d are allowed", ErrInvalid, name, len(name), MaxNameLength)
	case !plain(name):
		return fmt.Errorf("%w: name %q; use lower-case letters, digits and inner hyphens", ErrInvalid, name)
	}
	return nil
}

// plain reports whether a name is of lower-case letters, digits and inner hyphens. It is
// no regular expression, which would cost 0.1 ms at each start of the plugin.
func plain(name string) bool {
	const inner = "abcdefghijklmnopqrstuvwxyz0123456789-"
	return strings.Trim(name, inner) == "" && !strings.HasPrefix(name, "-") && !strings.HasSuffix(name, "-")
}

// Key names a chain on a node until reboot: the cookie of the network namespace
// (SO_NETNS_COOKIE, never reused) and the index of the interface in it. It prints
// as "<cookie>-<ifindex>", both decimal, which is also the name of its folder on
// bpffs and of its record.
type Key struct {
	Cookie  uint64
	Ifindex int
}

// String returns "<cookie>-<ifindex>".
func (k Key) String() string { return fmt.Sprintf("%d-%d", k.Cookie, k.Ifindex) }

// MarshalText returns the same as String.
func (k Key) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// ParseKey takes what String prints and nothing else: no sign, no leading zero, an
// index of at least 1. Errors satisfy errors.Is(err, [ErrInvalid]).
func ParseKey(text string) (Key, error) {
	cookie, ifindex, _ := strings.Cut(text, "-")
	c, cerr := strconv.ParseUint(cookie, 10, 64)
	i, ierr := strconv.ParseInt(ifindex, 10, 32)
	k := Key{Cookie: c, Ifindex: int(i)}
	if cerr != nil || ierr != nil || i < 1 || k.String() != text {
		return Key{}, fmt.Errorf("%w: chain key %q; want <netns cookie>-<ifindex>", ErrInvalid, text)
	}
	return k, nil
}

// UnmarshalText sets the key to what [ParseKey] takes, and leaves it as it was on an error.
func (k *Key) UnmarshalText(text []byte) error {
	parsed, err := ParseKey(string(text))
	if err == nil {
		*k = parsed
	}
	return err
}

// gplLicenses is the list of license_is_gpl_compatible in the kernel's
// include/linux/license.h, which compares byte by byte.
var gplLicenses = []string{
	"GPL",
	"GPL v2",
	"GPL and additional rights",
	"Dual BSD/GPL",
	"Dual MIT/GPL",
	"Dual MPL/GPL",
}

// GPLCompatible reports whether the kernel lets a program of this license call
// helpers that are GPL only.
func GPLCompatible(license string) bool { return slices.Contains(gplLicenses, license) }

// EntryProgram is the value of an entry of a devmap or cpumap that has a program: it runs
// on frames that a member redirects to the entry, where they come out. A program can be
// put into a map once it is loaded, so what a map is to hold says its name.
type EntryProgram struct {
	// Target is where the frames go: for a devmap the index of an interface, for a cpumap
	// the length of the queue to the CPU, in frames.
	Target uint32
	// Function is the program, of the same object as the member.
	Function string
}

// Mode says where in the receive path the kernel runs a chain. The zero value is ModeAuto.
type Mode uint8

// The values of Mode.
const (
	// ModeAuto is native, and generic where the driver or the MTU does not allow native.
	ModeAuto Mode = iota
	// ModeNative is in the driver (XDP_FLAGS_DRV_MODE).
	ModeNative
	// ModeGeneric is after the driver has made an skb (XDP_FLAGS_SKB_MODE).
	ModeGeneric
	// ModeOffload is in the hardware (XDP_FLAGS_HW_MODE).
	ModeOffload
)

var modeNames = enum.Names[Mode]{What: "mode", Invalid: ErrInvalid, List: []string{"auto", "native", "generic", "offload"}}

// Attach says what holds a chain on its interface. The zero value is AttachAuto.
type Attach uint8

// The values of Attach.
const (
	// AttachAuto is link for the linked dispatcher, netlink for libxdp.
	AttachAuto Attach = iota
	// AttachLink is a pinned bpf_link, which nothing in the pod can take off.
	AttachLink
	// AttachNetlink sets the program on the interface by netlink, without a link, as ip
	// link and libxdp do.
	AttachNetlink
)

var attachNames = enum.Names[Attach]{What: "attach", Invalid: ErrInvalid, List: []string{"auto", "link", "netlink"}}

// Dispatcher names the program in front that calls the members. The zero value is DispatcherAuto.
type Dispatcher uint8

// The values of Dispatcher.
const (
	// DispatcherAuto is linked wherever the members can be linked.
	DispatcherAuto Dispatcher = iota
	// DispatcherLinked is members linked into one program by direct calls.
	DispatcherLinked
	// DispatcherLibxdp is libxdp's multiprog protocol.
	DispatcherLibxdp
)

var dispatcherNames = enum.Names[Dispatcher]{What: "dispatcher", Invalid: ErrInvalid, List: []string{"auto", "linked", "libxdp"}}

// LibxdpVersion is a version of libxdp's multiprog protocol, that is of the form of
// its dispatcher's configuration. The zero value, LibxdpVersionAuto, stands for
// nobody's choice.
type LibxdpVersion uint8

// The values of LibxdpVersion.
const (
	// LibxdpVersionAuto is that of the dispatcher found, and else version 2.
	LibxdpVersionAuto LibxdpVersion = 0
	// LibxdpV1 is that of libxdp 1.0 to 1.2. It is read and not written.
	LibxdpV1 LibxdpVersion = 1
	// LibxdpV2 is that of libxdp 1.3 to 1.5. Later ones read it.
	LibxdpV2 LibxdpVersion = 2
	// LibxdpV3 is that of libxdp 1.6 and later, which those before cannot read.
	LibxdpV3 LibxdpVersion = 3
)

// String returns the number, or "auto".
func (v LibxdpVersion) String() string {
	if v == LibxdpVersionAuto {
		return "auto"
	}
	return strconv.Itoa(int(v))
}

// MarshalJSON returns the number; a value that is no version is an error that
// satisfies errors.Is(err, [ErrInvalid]).
func (v LibxdpVersion) MarshalJSON() ([]byte, error) {
	if v > LibxdpV3 {
		return nil, fmt.Errorf("%w: %d is not a version of libxdp's protocol", ErrInvalid, uint8(v))
	}
	return strconv.AppendUint(nil, uint64(v), 10), nil
}

// UnmarshalJSON takes a number from 0 (auto) to 3; anything else is an error that
// satisfies errors.Is(err, [ErrInvalid]).
func (v *LibxdpVersion) UnmarshalJSON(text []byte) error {
	var number uint8
	if err := json.Unmarshal(text, &number); err != nil || LibxdpVersion(number) > LibxdpV3 {
		return fmt.Errorf("%w: version %s of libxdp's protocol; use 2 or 3", ErrInvalid, text)
	}
	*v = LibxdpVersion(number)
	return nil
}
