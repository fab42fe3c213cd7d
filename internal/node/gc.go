// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"github.com/xdp-chain/xdp-chain/internal/record"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
)

// unusedObjectAge is how long an object stays in the store that no chain has as a
// member: longer than any ADD needs from storing it to recording it.
const unusedObjectAge = time.Hour

// Ref names an attachment within its network, as cni.dev/valid-attachments does.
type Ref struct {
	ContainerID, Ifname string
}

// GC removes the network's attachments that are not valid. Where it is not known
// which ones are, it removes those alone whose chains are all dead: interface or
// namespace gone. It also sweeps all chains of the node, and drops objects from
// the store that no chain needs. It goes on past errors and returns them joined.
func (n *Node) GC(ctx context.Context, network string, valid []Ref, known bool) error {
	var errs []error
	attachments, err := n.Records.Attachments(network)
	errs = append(errs, err)
	for _, a := range attachments {
		if known && slices.Contains(valid, Ref{a.ContainerID, a.Ifname}) {
			continue
		}
		if err := n.collect(ctx, a, known); err != nil {
			errs = append(errs, fmt.Errorf("attachment of container %s, %s: %w", a.ContainerID, a.Ifname, err))
		}
	}
	keys, err := n.keys()
	errs = append(errs, err, n.Sweep(ctx, len(keys)), n.dropNodeMaps(ctx, network), n.pruneStore())
	return errors.Join(errs...)
}

// collect removes an attachment: in any case where it is known not to be valid,
// otherwise when it is dead.
func (n *Node) collect(ctx context.Context, a record.Attachment, invalid bool) error {
	for _, key := range a.Keys {
		if invalid {
			break
		}
		t, err := n.hold(ctx, key, nil)
		if err != nil {
			return err
		}
		dead, err := t.dead()
		t.release()
		if err != nil || !dead {
			return err
		}
	}
	return n.Remove(ctx, a.Network, a.ContainerID, a.Ifname)
}

// pruneStore drops the objects that no chain has as a member.
func (n *Node) pruneStore() error {
	keys, err := n.Records.Keys()
	if err != nil {
		return err
	}
	needed, err := n.neededObjects(keys)
	if err != nil {
		return err
	}
	return n.Store.Prune(needed, unusedObjectAge)
}

// neededObjects returns the digests of the chains' objects. A record that cannot be
// read is an error: what that one needs is not known. One that was removed since the
// keys were listed needs nothing.
func (n *Node) neededObjects(keys []chain.Key) (map[string]bool, error) {
	needed := make(map[string]bool)
	for _, key := range keys {
		rec, err := n.Records.Load(key)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("find out which objects are needed: %w", err)
		}
		addObjects(needed, rec)
	}
	return needed, nil
}

// addObjects adds the digests of a chain's objects.
func addObjects(needed map[string]bool, rec *record.Record) {
	for _, s := range rec.States() {
		for _, m := range s.Members {
			needed[m.Object] = true
		}
	}
}
