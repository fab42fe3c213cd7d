// SPDX-License-Identifier: Apache-2.0

package node

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/cilium/ebpf"

	"github.com/xdp-chain/xdp-chain/internal/record"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
	"github.com/xdp-chain/xdp-chain/pkg/dispatcher"
	"github.com/xdp-chain/xdp-chain/pkg/dispatcher/libxdp"
)

// libxdpChain is what libxdp's dispatcher on an interface runs, whoever made it.
type libxdpChain struct {
	dispatcher *ebpf.Program
	id         uint32
	mode       chain.Mode
	version    chain.LibxdpVersion
	// devbound says that the dispatcher and its members are loaded for one device.
	devbound bool
	// slots are in running order.
	slots []slot
	// recorded says that the dispatcher is the record's, and was not made by others.
	recorded bool
	// unpinned says that the dispatcher's pins are gone, and with them all that
	// could be known of what others put into it.
	unpinned bool
}

// slot is a member of such a chain.
type slot struct {
	chain.Member
	program *ebpf.Program
	id      uint32
	frags   bool
	// own is nil for a member that libxdp's tools put there. That is named by its
	// program: a function's name may be a member's, too.
	own *record.Member
}

// fill puts programs, which become the chain's, into its slots.
func (c *libxdpChain) fill(rec *record.Record, config *libxdp.Config, programs []*ebpf.Program) error {
	for i, program := range programs {
		c.slots = append(c.slots, slot{program: program, frags: config.Slots[i].Frags, Member: chain.Member{
			Priority: config.Slots[i].Priority, ProceedOn: config.Slots[i].ProceedOn,
		}})
	}
	for i := range c.slots {
		s := &c.slots[i]
		var err error
		if s.id, err = programID(s.program); err != nil {
			return err
		}
		if s.own = ownProgram(rec, s.id); s.own != nil {
			s.Name, s.Function = s.own.Name, s.own.Function
			continue
		}
		if s.Function, err = libxdp.FunctionName(s.program); err != nil {
			return err
		}
		s.Name = fmt.Sprintf("libxdp:%d", s.id)
	}
	return nil
}

// readOwn fills in what the record knows of a chain whose pins are gone: the members of
// its own dispatcher, whose links are pinned in the chain's folder as well.
func (c *libxdpChain) readOwn(rec *record.Record) error {
	for _, s := range rec.States() {
		if s.ProgramID != c.id {
			continue
		}
		for i := range s.Members {
			m := &s.Members[i]
			program, err := ebpf.NewProgramFromID(ebpf.ProgramID(m.ProgramID))
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err != nil {
				c.close()
				return fmt.Errorf("open program %d of member %q: %w", m.ProgramID, m.Name, err)
			}
			c.slots = append(c.slots, slot{Member: m.Member, program: program, id: m.ProgramID, own: m})
		}
	}
	return nil
}

// ownProgram finds the member that a program is.
func ownProgram(rec *record.Record, id uint32) *record.Member {
	for _, s := range slices.Backward(rec.States()) {
		if i := slices.IndexFunc(s.Members, func(m record.Member) bool { return m.ProgramID == id }); i >= 0 {
			return &s.Members[i]
		}
	}
	return nil
}

// close may be called on nil.
func (c *libxdpChain) close() {
	if c == nil {
		return
	}
	c.dispatcher.Close()
	for _, s := range c.slots {
		s.program.Close()
	}
}

// slot finds a member of ours by its program; nil where there is none.
func (c *libxdpChain) slot(id uint32) *slot {
	if c == nil {
		return nil
	}
	if i := slices.IndexFunc(c.slots, func(s slot) bool { return s.id == id && s.own != nil }); i >= 0 {
		return &c.slots[i]
	}
	return nil
}

// others are the members that libxdp's tools put into the chain.
func (c *libxdpChain) others() []dispatcher.Member {
	if c == nil {
		return nil
	}
	var list []dispatcher.Member
	for _, s := range c.slots {
		if s.own == nil {
			list = append(list, dispatcher.Member{Member: s.Member, Loaded: s.program, Frags: s.frags})
		}
	}
	return list
}

// hasOwn tells whether members of ours are in the chain.
func (c *libxdpChain) hasOwn() bool {
	return c != nil && slices.ContainsFunc(c.slots, func(s slot) bool { return s.own != nil })
}

// distance is how far the chain is from a generation of ours: members of ours that only
// one of the two has.
func (c *libxdpChain) distance(s *record.State) int {
	var members []record.Member
	if s != nil {
		members = s.Members
	}
	n := 0
	for _, m := range members {
		if c.slot(m.ProgramID) == nil {
			n++
		}
	}
	for _, slot := range c.slots {
		if slot.own != nil && !slices.ContainsFunc(members, func(m record.Member) bool { return m.ProgramID == slot.id }) {
			n++
		}
	}
	return n
}

func closePrograms(programs []*ebpf.Program) {
	for _, p := range programs {
		p.Close()
	}
}

func programID(p *ebpf.Program) (uint32, error) {
	info, err := p.Info()
	if err != nil {
		return 0, fmt.Errorf("read the id of %s: %w", p, err)
	}
	id, _ := info.ID()
	return uint32(id), nil
}
