// SPDX-License-Identifier: Apache-2.0

package inspect

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/cilium/ebpf"

	"github.com/xdp-chain/xdp-chain/internal/enum"
	"github.com/xdp-chain/xdp-chain/internal/node/state"
	"github.com/xdp-chain/xdp-chain/internal/record"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
	"github.com/xdp-chain/xdp-chain/pkg/dispatcher/libxdp"
	"github.com/xdp-chain/xdp-chain/pkg/netdev"
)

// HookOwner says who put a program on its hook. The zero value is NoOwner.
type HookOwner uint8

// The values of HookOwner.
const (
	// NoOwner has no program.
	NoOwner HookOwner = iota
	// ChainOwner has a chain of this node, by either dispatcher.
	ChainOwner
	// LibxdpOwner has a dispatcher of libxdp's tools, none of its members ours.
	LibxdpOwner
	// ForeignOwner has any other program.
	ForeignOwner
)

var hookOwnerNames = enum.Names[HookOwner]{
	What: "whose", Invalid: chain.ErrInvalid, List: []string{"none", "chain", "libxdp", "foreign"},
}

// identify finds out whose a program on an interface is. One that nobody knows may be a
// chain's that was swapped in since the records were read, and is looked at again.
func (l *hookLook) identify(i *netdev.Interface, a netdev.Attached) (Hook, error) {
	rec := l.records[i.Key()]
	h, err := l.tryIdentify(i, a, rec)
	for range state.FindTries {
		if err == nil && h.Owner == ChainOwner {
			break
		}
		again, now, changed, lookErr := l.lookAgain(i, a, rec)
		if lookErr != nil || !changed {
			err = errors.Join(err, lookErr)
			break
		}
		rec, a = again, now
		h, err = l.tryIdentify(i, a, rec)
	}
	if h.Owner != ChainOwner && h.Owner != NoOwner && err == nil {
		err = l.findHolder(&h, i, a)
	}
	return h, err
}

// lookAgain tells what there is now, and whether it is something else.
func (l *hookLook) lookAgain(i *netdev.Interface, a netdev.Attached, rec *record.Record) (again *record.Record, now netdev.Attached, changed bool, err error) {
	again, err = l.node.Records.Load(i.Key())
	if errors.Is(err, fs.ErrNotExist) {
		again, err = nil, nil
	}
	if err != nil {
		return rec, a, false, err
	}
	now = a
	if a.Mode != chain.ModeOffload { // which may be behind another one
		now, err = i.Attached()
	}
	if errors.Is(err, netdev.ErrNoInterface) {
		return again, netdev.Attached{}, true, nil
	}
	return again, now, now != a || !state.SameJSON(again, rec), err
}

// tryIdentify compares a program with the record of a chain, which may be nil.
func (l *hookLook) tryIdentify(i *netdev.Interface, a netdev.Attached, rec *record.Record) (Hook, error) {
	h := newHook(i, a)
	if a.ProgramID == 0 {
		return h, nil
	}
	var err error
	if h.Name, h.Tag, err = describe(a.ProgramID); err != nil {
		if errors.Is(err, fs.ErrNotExist) { // replaced since
			err = nil
		}
		return h, err
	}
	if h.Name == libxdp.ProgramName {
		return h, l.readMembers(&h, i, rec)
	}
	if s := state.GenerationOf(rec, h.ProgramID); s != nil {
		h.Owner, h.Attach, h.Dispatcher, h.State = ChainOwner, s.Attach, s.Dispatcher, new(state.Running)
		h.Members = shown(&record.Record{State: s}).Members
	}
	return h, nil
}

// readMembers reads the members of a dispatcher of libxdp's, of which some may be ours.
func (l *hookLook) readMembers(h *Hook, i *netdev.Interface, rec *record.Record) error {
	if rec == nil {
		rec = &record.Record{Key: h.Key, NetNS: h.NetNS, Interface: h.Interface}
	}
	found, err := l.node.FindLibxdp(rec, i)
	if err != nil || found == nil || found.ID != h.ProgramID {
		found.Close()
		return err
	}
	defer found.Close()
	h.Owner, h.Dispatcher, h.Attach = LibxdpOwner, chain.DispatcherLibxdp, chain.AttachNetlink
	if found.HasOwn() || found.Recorded {
		h.Owner, h.State = ChainOwner, new(state.Running)
	}
	for place := range found.Slots {
		s := &found.Slots[place]
		m := shownSlot(s, place)
		if _, m.Tag, err = describe(ebpf.ProgramID(s.ID)); err != nil {
			return fmt.Errorf("member %q: %w", m.Name, err)
		}
		h.Members = append(h.Members, m)
	}
	return nil
}

// describe returns what the kernel calls a program, and its tag.
func describe(id ebpf.ProgramID) (name, tag string, err error) {
	p, err := ebpf.NewProgramFromID(id)
	if err != nil {
		return "", "", fmt.Errorf("open program %d: %w", id, err)
	}
	defer p.Close()
	info, err := p.Info()
	if err != nil {
		return "", "", fmt.Errorf("read about program %d: %w", id, err)
	}
	return info.Name, info.Tag, nil
}
