// SPDX-License-Identifier: Apache-2.0

package state

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/cilium/ebpf"

	"github.com/xdp-chain/xdp-chain/internal/record"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
	"github.com/xdp-chain/xdp-chain/pkg/dispatcher"
	"github.com/xdp-chain/xdp-chain/pkg/dispatcher/libxdp"
	"github.com/xdp-chain/xdp-chain/pkg/netdev"
	"github.com/xdp-chain/xdp-chain/pkg/pin"
)

// FindTries bounds how often a chain is looked at again that others change under our
// eyes.
const FindTries = 10

// FindLibxdp reads the libxdp chain on an interface; nil where it carries none. No lock
// is needed: a dispatcher's pins are there from before it is attached until it is
// replaced, and then the interface says so.
func (n *Node) FindLibxdp(rec *record.Record, iface *netdev.Interface) (*LibxdpChain, error) {
	if iface == nil {
		return nil, nil
	}
	var attached, before netdev.Attached
	for range FindTries {
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
	return nil, fmt.Errorf("%w: the libxdp chain on %s was replaced each of %d times that it was looked at; try again", netdev.ErrBusy, iface.Name, FindTries)
}

// isLinked spares the usual chain the look at its program.
func isLinked(rec *record.Record, id ebpf.ProgramID) bool {
	s := rec.State
	return s != nil && s.Dispatcher == chain.DispatcherLinked && s.ProgramID == uint32(id)
}

// readLibxdp reads the chain of one dispatcher. Errors that satisfy errors.Is(err,
// [fs.ErrNotExist]) say that it, or a pin of it, was gone; last says that it is on the
// interface nevertheless.
func (n *Node) readLibxdp(rec *record.Record, iface *netdev.Interface, attached netdev.Attached, last bool) (*LibxdpChain, error) {
	program, err := ebpf.NewProgramFromID(attached.ProgramID)
	if err != nil {
		return nil, fmt.Errorf("open XDP program %d of %s: %w", attached.ProgramID, iface.Name, err)
	}
	config, err := libxdp.Read(program)
	if err != nil {
		program.Close()
		// A version to come is to us what any other program is.
		if errors.Is(err, libxdp.ErrNotDispatcher) || errors.Is(err, libxdp.ErrVersion) {
			err = nil
		}
		return nil, err
	}
	c := &LibxdpChain{Dispatcher: program, ID: uint32(attached.ProgramID), Mode: attached.Mode, Version: config.Version, Devbound: config.Devbound}
	c.Recorded = rec.Generation(c.ID) != nil
	programs, err := n.pinnedPrograms(rec, pin.Dispatch{Ifindex: iface.Index, ID: attached.ProgramID}, len(config.Slots))
	if errors.Is(err, fs.ErrNotExist) && last {
		c.Unpinned = true
		return c, c.readOwn(rec)
	}
	if err == nil {
		err = c.fill(rec, config, programs)
	}
	if err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// pinnedPrograms opens the members of a dispatcher, which are pinned in the tree of the
// chain's namespace or in the host's: xdp-loader uses that one wherever it is run,
// unless it is told of another. A missing pin of a link is a missing member.
func (n *Node) pinnedPrograms(rec *record.Record, d pin.Dispatch, count int) ([]*ebpf.Program, error) {
	for _, tree := range n.LibxdpTrees(rec) {
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
		ClosePrograms(programs)
	}
	return nil, fmt.Errorf("pins of libxdp's dispatcher %d on interface %d: %w", d.ID, d.Ifindex, fs.ErrNotExist)
}

// LibxdpTree is where the pins of a chain go.
func (n *Node) LibxdpTree(rec *record.Record) pin.Libxdp {
	if rec.NetNS == netdev.CurrentPath {
		return n.BPFFS.HostLibxdp()
	}
	return n.BPFFS.Libxdp(rec.Key.Cookie)
}

// LibxdpTrees are where the pins of a chain may be found.
func (n *Node) LibxdpTrees(rec *record.Record) []pin.Libxdp {
	if rec.NetNS == netdev.CurrentPath {
		return []pin.Libxdp{n.BPFFS.HostLibxdp()}
	}
	return []pin.Libxdp{n.BPFFS.Libxdp(rec.Key.Cookie), n.BPFFS.HostLibxdp()}
}

// LibxdpChain is what libxdp's dispatcher on an interface runs, whoever made it.
type LibxdpChain struct {
	Dispatcher *ebpf.Program
	ID         uint32
	Mode       chain.Mode
	Version    chain.LibxdpVersion
	// Devbound says that the dispatcher and its members are loaded for one device.
	Devbound bool
	// Slots are in running order.
	Slots []Slot
	// Recorded says that the dispatcher is the record's, and was not made by others.
	Recorded bool
	// Unpinned says that the dispatcher's pins are gone, and with them all that
	// could be known of what others put into it.
	Unpinned bool
}

// Slot is a member of such a chain.
type Slot struct {
	chain.Member
	Program *ebpf.Program
	ID      uint32
	Frags   bool
	// Own is nil for a member that libxdp's tools put there. That is named by its
	// program: a function's name may be a member's, too.
	Own *record.Member
}

// fill puts programs, which become the chain's, into its slots.
func (c *LibxdpChain) fill(rec *record.Record, config *libxdp.Config, programs []*ebpf.Program) error {
	for i, program := range programs {
		c.Slots = append(c.Slots, Slot{Program: program, Frags: config.Slots[i].Frags, Member: chain.Member{
			Priority: config.Slots[i].Priority, ProceedOn: config.Slots[i].ProceedOn,
		}})
	}
	for i := range c.Slots {
		s := &c.Slots[i]
		var err error
		if s.ID, err = ProgramID(s.Program); err != nil {
			return err
		}
		if s.Own = ownProgram(rec, s.ID); s.Own != nil {
			s.Name, s.Function = s.Own.Name, s.Own.Function
			continue
		}
		if s.Function, err = libxdp.FunctionName(s.Program); err != nil {
			return err
		}
		s.Name = fmt.Sprintf("libxdp:%d", s.ID)
	}
	return nil
}

// readOwn fills in what the record knows of a chain whose pins are gone: the members of
// its own dispatcher, whose links are pinned in the chain's folder as well.
func (c *LibxdpChain) readOwn(rec *record.Record) error {
	for _, s := range rec.States() {
		if s.ProgramID != c.ID {
			continue
		}
		for i := range s.Members {
			m := &s.Members[i]
			program, err := ebpf.NewProgramFromID(ebpf.ProgramID(m.ProgramID))
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err != nil {
				c.Close()
				return fmt.Errorf("open program %d of member %q: %w", m.ProgramID, m.Name, err)
			}
			c.Slots = append(c.Slots, Slot{Member: m.Member, Program: program, ID: m.ProgramID, Own: m})
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

// Close may be called on nil.
func (c *LibxdpChain) Close() {
	if c == nil {
		return
	}
	c.Dispatcher.Close()
	for _, s := range c.Slots {
		s.Program.Close()
	}
}

// Slot finds a member of ours by its program; nil where there is none.
func (c *LibxdpChain) Slot(id uint32) *Slot {
	if c == nil {
		return nil
	}
	if i := slices.IndexFunc(c.Slots, func(s Slot) bool { return s.ID == id && s.Own != nil }); i >= 0 {
		return &c.Slots[i]
	}
	return nil
}

// Others are the members that libxdp's tools put into the chain.
func (c *LibxdpChain) Others() []dispatcher.Member {
	if c == nil {
		return nil
	}
	var list []dispatcher.Member
	for _, s := range c.Slots {
		if s.Own == nil {
			list = append(list, dispatcher.Member{Member: s.Member, Loaded: s.Program, Frags: s.Frags})
		}
	}
	return list
}

// HasOwn tells whether members of ours are in the chain.
func (c *LibxdpChain) HasOwn() bool {
	return c != nil && slices.ContainsFunc(c.Slots, func(s Slot) bool { return s.Own != nil })
}

// Distance is how far the chain is from a generation of ours: members of ours that only
// one of the two has.
func (c *LibxdpChain) Distance(s *record.State) int {
	var members []record.Member
	if s != nil {
		members = s.Members
	}
	n := 0
	for _, m := range members {
		if c.Slot(m.ProgramID) == nil {
			n++
		}
	}
	for _, slot := range c.Slots {
		if slot.Own != nil && !slices.ContainsFunc(members, func(m record.Member) bool { return m.ProgramID == slot.ID }) {
			n++
		}
	}
	return n
}

// WithoutReturn leaves out the verdict that libxdp sets for every member and reads for
// none.
func WithoutReturn(s chain.ActionSet) chain.ActionSet {
	return s &^ chain.ActionSetOf(chain.DispatcherReturn)
}

// ClosePrograms closes all of them.
func ClosePrograms(programs []*ebpf.Program) {
	for _, p := range programs {
		p.Close()
	}
}

// CloseMaps closes all of them.
func CloseMaps(opened map[string]*ebpf.Map) {
	for _, m := range opened {
		m.Close()
	}
}

// ProgramID asks the kernel for the id of a program.
func ProgramID(p *ebpf.Program) (uint32, error) {
	info, err := p.Info()
	if err != nil {
		return 0, fmt.Errorf("read the id of %s: %w", p, err)
	}
	id, _ := info.ID()
	return uint32(id), nil
}

// HaveFreplace returns nil where this kernel can run libxdp's dispatcher, and otherwise
// an error that satisfies errors.Is(err, [libxdp.ErrNoFreplace]). The kernel is asked
// once a boot: the probe loads and attaches several programs.
func (n *Node) HaveFreplace() error {
	known, err := n.Records.LoadKernel()
	switch {
	case err == nil && known.NoFreplace == "":
		return nil
	case err == nil:
		return fmt.Errorf("%w: %s (found earlier; to have it looked at again, remove %s)", libxdp.ErrNoFreplace, known.NoFreplace, n.Records.KernelPath())
	case !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, record.ErrBroken):
		return err
	}
	probed := libxdp.Probe()
	if probed == nil || errors.Is(probed, libxdp.ErrNoFreplace) {
		if probed != nil {
			known.NoFreplace = strings.TrimPrefix(probed.Error(), libxdp.ErrNoFreplace.Error()+": ")
		}
		return errors.Join(probed, n.Records.SaveKernel(known))
	}
	return fmt.Errorf("find out whether the kernel can run libxdp's dispatcher: %w", probed)
}
