// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/xdp-chain/xdp-chain/internal/node/change"
	"github.com/xdp-chain/xdp-chain/internal/node/resolve"
	"github.com/xdp-chain/xdp-chain/internal/node/state"
)

// Check compares what the attachment wants with what is recorded, and what is
// recorded with what the kernel runs. It returns every difference that it finds,
// joined; each satisfies errors.Is(err, [state.ErrDiffers]). A process that died in the
// middle of a change does not count as one: the chain is recovered first.
func (n *Node) Check(ctx context.Context, a resolve.Attachment) error {
	sides := a.Sides()
	t, err := openTargets(&a, sides)
	if err != nil {
		return fmt.Errorf("%w: %w", state.ErrDiffers, err)
	}
	defer t.close()
	errs := []error{n.checkIndex(ctx, &a, t)}
	for _, target := range t.list {
		errs = append(errs, change.Check(ctx, n.Node, &a, target, sides[target.Side]))
	}
	return errors.Join(errs...)
}

// checkIndex says which chains the attachment is in that its configuration does
// not want: those of a side that it had programs for when it was added.
func (n *Node) checkIndex(ctx context.Context, a *resolve.Attachment, t *targets) error {
	index, err := n.AttachmentIndex(ctx, a.Owner)
	if errors.Is(err, fs.ErrNotExist) { // its chains are missed one by one
		return nil
	}
	if err != nil {
		return err
	}
	var errs []error
	for _, key := range index.Keys {
		wanted := slices.ContainsFunc(t.list, func(target change.AttachTarget) bool { return target.Interface.Key() == key })
		if !wanted && n.runsFor(ctx, key, a.Owner) {
			errs = append(errs, fmt.Errorf("%w: the attachment has members in chain %s, where its configuration has none", state.ErrDiffers, key))
		}
	}
	return errors.Join(errs...)
}
