// SPDX-License-Identifier: Apache-2.0

package node

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/cilium/ebpf"

	"github.com/xdp-chain/xdp-chain/pkg/chain"
	"github.com/xdp-chain/xdp-chain/pkg/dispatcher"
	"github.com/xdp-chain/xdp-chain/pkg/dispatcher/libxdp"
	"github.com/xdp-chain/xdp-chain/pkg/netdev"
	"github.com/xdp-chain/xdp-chain/pkg/pin"
	"github.com/xdp-chain/xdp-chain/pkg/record"
)

// libxdpChain is what libxdp's dispatcher on an interface runs, whoever made it.
type libxdpChain struct {
	dispatcher *ebpf.Program
	id         uint32
	mode       chain.Mode
	version    chain.LibxdpVersion
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
	// own is nil for a member that libxdp's tools put there. That is named by its
	// program: a function's name may be a member's, too.
	own *record.Member
}

// findTries bounds how often a chain is looked at again that others change under our
// eyes.
const findTries = 10

// findLibxdp reads the libxdp chain on an interface; nil where it carries none. No lock
// is needed: a dispatcher's pins are there from before it is attached until it is
// replaced, and then the interface says so.
func (n *Node) findLibxdp(rec *record.Record, iface *netdev.Interface) (*libxdpChain, error) {
	if iface == nil {
		return nil, nil
	}
	var attached, before netdev.Attached
	for range findTries {
		var err error
		if attached, err = iface.Attached(); err != nil || attached.ProgramID == 0 {
			if errors.Is(err, netdev.ErrNoInterface) {
				err = nil
			}
			return nil, err
		}
		if isLinked(rec, attached.ProgramID) {
			return nil, nil
		}
		c, err := n.readLibxdp(rec, iface, attached, attached == before)
		if !errors.Is(err, fs.ErrNotExist) {
			return c, err
		}
		before = attached
	}
	return nil, fmt.Errorf("%w: the libxdp chain on %s was replaced each of %d times that it was looked at; try again", netdev.ErrBusy, iface.Name, findTries)
}

// isLinked spares the usual chain the look at its program.
func isLinked(rec *record.Record, id ebpf.ProgramID) bool {
	s := rec.State
	return s != nil && s.Dispatcher == chain.DispatcherLinked && s.ProgramID == uint32(id)
}

// readLibxdp reads the chain of one dispatcher. Errors that satisfy errors.Is(err,
// [fs.ErrNotExist]) say that it, or a pin of it, was gone; last says that it is on the
// interface nevertheless.
func (n *Node) readLibxdp(rec *record.Record, iface *netdev.Interface, attached netdev.Attached, last bool) (*libxdpChain, error) {
	program, err := ebpf.NewProgramFromID(attached.ProgramID)
	if err != nil {
		return nil, fmt.Errorf("open XDP program %d of %s: %w", attached.ProgramID, iface.Name, err)
	}
	config, err := libxdp.Read(program)
	if err != nil {
		program.Close()
		if errors.Is(err, libxdp.ErrNotDispatcher) {
			err = nil
		}
		return nil, err
	}
	c := &libxdpChain{dispatcher: program, id: uint32(attached.ProgramID), mode: attached.Mode, version: config.Version}
	for _, s := range []*record.State{rec.State, rec.Pending} {
		c.recorded = c.recorded || s != nil && s.ProgramID == c.id
	}
	programs, err := n.pinnedPrograms(rec, pin.Dispatch{Ifindex: iface.Index, ID: attached.ProgramID}, len(config.Slots))
	if errors.Is(err, fs.ErrNotExist) && last {
		c.unpinned = true
		return c, c.readOwn(rec)
	}
	if err == nil {
		err = c.fill(rec, config, programs)
	}
	if err != nil {
		c.close()
		return nil, err
	}
	return c, nil
}

// pinnedPrograms opens the members of a dispatcher, which are pinned in the tree of the
// chain's namespace or in the host's: xdp-loader uses that one wherever it is run,
// unless it is told of another. A missing pin of a link is a missing member.
func (n *Node) pinnedPrograms(rec *record.Record, d pin.Dispatch, count int) ([]*ebpf.Program, error) {
	for _, tree := range n.libxdpTrees(rec) {
		if whole, err := tree.Has(d, count); err != nil || !whole {
			if err != nil {
				return nil, err
			}
			continue
		}
		programs, err := tree.Programs(d)
		if err != nil || len(programs) == count {
			return programs, err
		}
		closePrograms(programs)
	}
	return nil, fmt.Errorf("pins of libxdp's dispatcher %d on interface %d: %w", d.ID, d.Ifindex, fs.ErrNotExist)
}

// libxdpTree is where the pins of a chain go.
func (n *Node) libxdpTree(rec *record.Record) pin.Libxdp {
	if rec.NetNS == netdev.CurrentPath {
		return n.BPFFS.HostLibxdp()
	}
	return n.BPFFS.Libxdp(rec.Key.Cookie)
}

// libxdpTrees are where the pins of a chain may be found.
func (n *Node) libxdpTrees(rec *record.Record) []pin.Libxdp {
	if rec.NetNS == netdev.CurrentPath {
		return []pin.Libxdp{n.BPFFS.HostLibxdp()}
	}
	return []pin.Libxdp{n.BPFFS.Libxdp(rec.Key.Cookie), n.BPFFS.HostLibxdp()}
}

// fill puts programs, which become the chain's, into its slots.
func (c *libxdpChain) fill(rec *record.Record, config *libxdp.Config, programs []*ebpf.Program) error {
	for i, program := range programs {
		c.slots = append(c.slots, slot{program: program, Member: chain.Member{
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
	for _, s := range []*record.State{rec.State, rec.Pending} {
		if s == nil || s.ProgramID != c.id {
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
	for _, s := range []*record.State{rec.Pending, rec.State} {
		if s == nil {
			continue
		}
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
			list = append(list, dispatcher.Member{Member: s.Member, Loaded: s.program})
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
