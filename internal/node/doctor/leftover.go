// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"context"
	"errors"
	"fmt"

	"github.com/xdp-chain/xdp-chain/internal/enum"
	"github.com/xdp-chain/xdp-chain/internal/node/state"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
)

// LeftoverKind says what a [Leftover] is. The zero value is LeftoverChain.
type LeftoverKind uint8

// The kinds of leftovers, in the order in which they are removed.
const (
	// LeftoverChain is a recorded chain whose interface is gone, or that never came to run.
	LeftoverChain LeftoverKind = iota
	// LeftoverPins is a chain's folder of pins without a record, and without a link that
	// holds the chain on its interface.
	LeftoverPins
	// LeftoverChange is a change of a chain that its process did not end. To remove it is
	// to finish it or to take it back.
	LeftoverChange
	// LeftoverAttachment is the index of an attachment whose interfaces are gone.
	LeftoverAttachment
	// LeftoverMaps is the maps that the pods of a network shared, or the members that were
	// put into chains by hand, of which none is left.
	LeftoverMaps
	// LeftoverLibxdp is libxdp's pins of a network namespace that is gone.
	LeftoverLibxdp
	// LeftoverObject is a file of the store that no chain needs.
	LeftoverObject
	// LeftoverTemporary is a file that a killed process was writing.
	LeftoverTemporary
)

var leftoverKindNames = enum.Names[LeftoverKind]{
	What: "leftover kind", Invalid: chain.ErrInvalid,
	List: []string{"chain", "pins", "change", "attachment", "maps", "libxdp", "object", "temporary"},
}

// Leftover is something that xdp-chain keeps on the node and that nobody needs any more.
type Leftover struct {
	Kind LeftoverKind
	// Name is the key of a chain, pins or a change; network, container and interface of an
	// attachment; the network of maps; the cookie of libxdp's namespace; otherwise a path.
	Name string
	// Why says why nobody needs it.
	Why string

	// remove looks again, where it can be needed again, and removes it. It tells whether
	// it is gone. It can be repeated.
	remove func(context.Context) (gone bool, err error)
}

// String says what it is and why nobody needs it, such as
// "chain 20481-2 (eth0 is gone)".
func (l Leftover) String() string {
	noun := l.Kind.String()
	switch l.Kind {
	case LeftoverPins:
		noun = "pins of chain"
	case LeftoverChange:
		noun = "change of chain"
	case LeftoverMaps:
		noun = "shared maps of"
	case LeftoverLibxdp:
		noun = "libxdp's pins of network namespace"
	case LeftoverTemporary:
		noun = "temporary file"
	}
	return fmt.Sprintf("%s %s (%s)", noun, l.Name, l.Why)
}

// Leftovers finds what nobody needs any more: what is dead for good, as [node.Node.Sweep] says,
// and what was only there for its sake. It changes nothing: it takes no lock that anybody
// would notice, passes over what somebody works on, and leaves broken records where they
// are. What it could not look at is in the error; what a record that cannot be read might
// need is no leftover.
func Leftovers(n *state.Node) ([]Leftover, error) {
	s, err := newSurvey(n)
	if err != nil {
		return nil, err
	}
	s.chains()
	s.attachments()
	s.maps()
	s.libxdp()
	s.objects()
	s.temporary()
	return s.found, errors.Join(s.errs...)
}

// RemoveLeftovers removes what [Leftovers] finds, and returns what it removed. It goes
// on past errors and returns them joined. What somebody has come to work on since is not
// removed, and no error.
//
// Dies anywhere: what is left is found again.
func RemoveLeftovers(ctx context.Context, n *state.Node) ([]Leftover, error) {
	found, err := Leftovers(n)
	var removed []Leftover
	errs := []error{err}
	for i, l := range found {
		if err := ctx.Err(); err != nil {
			errs = append(errs, fmt.Errorf("%w with %d of %d leftovers removed or looked at; the rest is found again", err, i, len(found)))
			break
		}
		gone, err := l.remove(ctx)
		if err != nil {
			errs = append(errs, fmt.Errorf("remove %s: %w", l, err))
		}
		if gone && err == nil {
			removed = append(removed, l)
		}
	}
	return removed, errors.Join(errs...)
}
