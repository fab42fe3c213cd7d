// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"errors"
	"io/fs"
	"maps"
	"slices"

	"github.com/cilium/ebpf"

	"github.com/xdp-chain/xdp-chain/internal/record"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
	"github.com/xdp-chain/xdp-chain/pkg/pin"
)

// unpin removes the pins of a dispatcher that is not on the interface any more, or
// never came there. It can be repeated.
func (t *tenure) unpin(ctx context.Context, id uint32) error {
	for _, tree := range t.trees() {
		if err := t.unpinFrom(ctx, tree, func(d pin.Dispatch) (bool, error) { return d == t.dispatch(id), nil }); err != nil {
			return err
		}
	}
	return nil
}

// unpinFrom removes the pins of those dispatchers in a tree that are to go. It takes
// libxdp's lock only where there are some.
func (t *tenure) unpinFrom(ctx context.Context, tree pin.Libxdp, goes func(pin.Dispatch) (bool, error)) error {
	all, err := tree.Dispatches()
	if err != nil {
		return err
	}
	var going []pin.Dispatch
	for _, d := range all {
		yes, err := goes(d)
		if err != nil {
			return err
		}
		if yes {
			going = append(going, d)
		}
	}
	if len(going) == 0 {
		return nil
	}
	lock := t.libxdp
	if lock == nil || tree != t.trees()[0] {
		if lock, err = tree.LockExisting(ctx); errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		defer lock.Unlock()
	}
	for _, d := range going {
		if err := lock.Unpin(d); err != nil {
			return err
		}
	}
	return nil
}

// unpinAll removes what is pinned of the chain's dispatchers: of those that are recorded,
// and of those that have members of ours in them, whoever made them. With the interface go
// all of its dispatchers, and those of others in its namespace that are gone like it: no
// record may tell of these, if libxdp's tools had them to themselves.
func (t *tenure) unpinAll(ctx context.Context) error {
	if t.rec != nil && t.rec.State != nil && !t.hasLibxdp() {
		return nil
	}
	programs, err := t.ownPrograms()
	if err != nil {
		return err
	}
	trees := t.trees()
	for _, tree := range trees {
		err := t.unpinFrom(ctx, tree, func(d pin.Dispatch) (bool, error) {
			switch {
			case t.rec != nil && t.iface == nil && tree == trees[0] && tree != t.node.BPFFS.HostLibxdp():
				return t.isGone(d.Ifindex)
			case d.Ifindex != t.lock.Key().Ifindex:
				return false, nil
			case t.isRecorded(d.ID):
				return true, nil
			}
			return holdsAny(tree, d, programs)
		})
		if err != nil {
			return err
		}
	}
	return t.dropEmptyTree(ctx)
}

// isGone tells whether an interface of the chain's namespace is gone, or the namespace is.
func (t *tenure) isGone(ifindex int) (bool, error) {
	iface, err := reopen(&record.Record{Key: chain.Key{Cookie: t.rec.Key.Cookie, Ifindex: ifindex}, NetNS: t.rec.NetNS})
	if iface == nil || err != nil {
		return err == nil, err
	}
	return false, iface.NetNS.Close()
}

// trees are where the pins of the chain may be, first where they should be.
func (t *tenure) trees() []pin.Libxdp {
	if t.rec != nil {
		return t.node.libxdpTrees(t.rec)
	}
	return []pin.Libxdp{t.node.BPFFS.Libxdp(t.lock.Key().Cookie), t.node.BPFFS.HostLibxdp()}
}

// ownPrograms are our members' programs in libxdp's dispatchers: by the record, and where
// that was lost by the links that are pinned in the chain's folder.
func (t *tenure) ownPrograms() ([]ebpf.ProgramID, error) {
	var programs []ebpf.ProgramID
	if t.rec != nil {
		for _, s := range t.rec.States() {
			for _, m := range s.Members {
				programs = append(programs, ebpf.ProgramID(m.ProgramID))
			}
		}
		return programs, nil
	}
	linked, err := t.linkedPrograms()
	return slices.Collect(maps.Values(linked)), err
}

// isRecorded tells whether a dispatcher is one that the record names.
func (t *tenure) isRecorded(id ebpf.ProgramID) bool {
	if t.rec == nil {
		return false
	}
	for _, s := range t.rec.States() {
		if id == ebpf.ProgramID(s.ProgramID) || id == ebpf.ProgramID(s.Replaced) {
			return true
		}
	}
	return false
}

// holdsAny tells whether one of the programs is in a slot of a pinned dispatcher.
func holdsAny(tree pin.Libxdp, d pin.Dispatch, programs []ebpf.ProgramID) (bool, error) {
	pinned, err := tree.Programs(d)
	if err != nil {
		return false, err
	}
	defer closePrograms(pinned)
	for _, p := range pinned {
		id, err := programID(p)
		if err != nil {
			return false, err
		}
		if slices.Contains(programs, ebpf.ProgramID(id)) {
			return true, nil
		}
	}
	return false, nil
}

// dropEmptyTree removes what is left of the namespace's tree where a process was killed
// as it made the tree or took it down.
func (t *tenure) dropEmptyTree(ctx context.Context) error {
	if t.libxdp != nil { // then its Unlock does that
		return nil
	}
	lock, err := t.trees()[0].LockExisting(ctx)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return lock.Unlock()
}
