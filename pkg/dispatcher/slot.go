// SPDX-License-Identifier: Apache-2.0

package dispatcher

import (
	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
)

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
