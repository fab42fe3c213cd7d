// SPDX-License-Identifier: Apache-2.0

package chain

import (
	"fmt"
	"strconv"
	"strings"
)

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

// UnmarshalText takes what String prints and nothing else: no sign, no leading
// zero, an index of at least 1. Errors satisfy errors.Is(err, [ErrInvalid]).
func (k *Key) UnmarshalText(text []byte) error {
	cookie, ifindex, _ := strings.Cut(string(text), "-")
	c, cerr := strconv.ParseUint(cookie, 10, 64)
	i, ierr := strconv.ParseInt(ifindex, 10, 32)
	parsed := Key{Cookie: c, Ifindex: int(i)}
	if cerr != nil || ierr != nil || i < 1 || parsed.String() != string(text) {
		return fmt.Errorf("%w: chain key %q; want <netns cookie>-<ifindex>", ErrInvalid, text)
	}
	*k = parsed
	return nil
}
