// SPDX-License-Identifier: Apache-2.0

package libxdp

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"

	"github.com/xdp-chain/xdp-chain/pkg/chain"
	"github.com/xdp-chain/xdp-chain/pkg/dispatcher"
	"github.com/xdp-chain/xdp-chain/pkg/dispatcher/internal/load"
)

// Probe finds out whether this kernel can run libxdp's dispatcher and this process may
// make one, by doing it: it puts a program in the place of one dispatcher, then into a
// slot of a second one, and lets a packet through both. Nil says that it can. What is
// missing is said by an error that satisfies errors.Is(err, [ErrNoFreplace]); other
// errors are about the probe itself, such as dispatcher.ErrNotPermitted.
//
// It takes a millisecond or two and leaves nothing.
func Probe() error {
	p, err := probeLoad()
	if err != nil {
		return err
	}
	defer p.Close()
	return probeAttach(p, "prog0")
}

// probeMember returns one verdict, which an empty dispatcher does not.
func probeMember() *dispatcher.Member {
	return &dispatcher.Member{
		Member: chain.Member{Name: "probe", Function: "probe"},
		Spec: &ebpf.CollectionSpec{Programs: map[string]*ebpf.ProgramSpec{"probe": {
			Name: "probe", Type: ebpf.XDP, License: "Dual BSD/GPL",
			Instructions: asm.Instructions{
				btf.WithFuncMetadata(asm.Mov.Imm(asm.R0, int32(chain.TX)), entryFunc("probe")),
				asm.Return(),
			},
		}}},
	}
}

// probeLoad returns an extension program that has been attached once.
func probeLoad() (*ebpf.Program, error) {
	t, err := probeTarget()
	if err != nil {
		return nil, err
	}
	defer t.Close()
	slot, err := t.fill(probeMember(), ProgramName, nil)
	if err != nil {
		return nil, err
	}
	defer slot.Link.Close()
	if err := t.runProbe(); err != nil {
		return nil, errors.Join(err, slot.Program.Close())
	}
	return slot.Program, nil
}

// probeAttach attaches an extension program to another dispatcher.
func probeAttach(p *ebpf.Program, function string) error {
	t, err := probeTarget()
	if err != nil {
		return err
	}
	defer t.Close()
	l, err := t.attach(p, function)
	if err != nil {
		return err
	}
	defer l.Close()
	return t.runProbe()
}

// probeTarget loads a dispatcher of one slot after which nothing goes on.
func probeTarget() (*target, error) {
	p, err := loadDispatcher(&Config{Version: DefaultVersion, Slots: make([]SlotConfig, 1)})
	if err != nil {
		return nil, load.Permission(err)
	}
	t, err := newTarget(p)
	if err != nil {
		return nil, errors.Join(err, p.Close())
	}
	return t, nil
}

// runProbe lets a packet through the dispatcher.
func (t *target) runProbe() error {
	verdict, err := t.Run(&ebpf.RunOptions{Data: make([]byte, 64)})
	if err != nil {
		return fmt.Errorf("running libxdp's dispatcher: %w", err)
	}
	if verdict != uint32(chain.TX) {
		return fmt.Errorf("%w: a program takes a function's place and is not called; the dispatcher returns %d", ErrNoFreplace, verdict)
	}
	return nil
}
