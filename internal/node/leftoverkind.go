// SPDX-License-Identifier: Apache-2.0

package node

import (
	"github.com/xdp-chain/xdp-chain/internal/enum"
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
