// SPDX-License-Identifier: Apache-2.0

package netdev

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/xdp-chain/xdp-chain/internal/errs"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
)

// Attached is the program on an interface's XDP hook. Its zero value means that there
// is none.
type Attached struct {
	ProgramID ebpf.ProgramID
	Mode      chain.Mode // native, generic or offload
	// The rest is filled by [Interface.Holder] alone.
	Name   string       // as bpftool shows it: at most 15 bytes
	Attach chain.Attach // link or netlink
	LinkID link.ID      // 0: netlink, or which link it is cannot be told
}

// String describes the program, for messages.
func (a Attached) String() string {
	if a.ProgramID == 0 {
		return "no XDP program"
	}
	s := fmt.Sprintf("XDP program %d", a.ProgramID)
	if a.Name != "" {
		s += fmt.Sprintf(" (%s)", a.Name)
	}
	s += fmt.Sprintf(" in %v mode", a.Mode)
	switch {
	case a.LinkID != 0:
		s += fmt.Sprintf(", held by bpf_link %d", a.LinkID)
	case a.Attach == chain.AttachLink:
		s += ", held by a bpf_link"
	case a.Attach == chain.AttachNetlink:
		s += ", attached by netlink"
	}
	return s
}

// Attached returns the program's id and its mode. Where a program in hardware and one
// in software are active together, it is the one in software. If the interface is gone,
// errors.Is(err, [ErrNoInterface]).
func (i *Interface) Attached() (Attached, error) {
	msg, err := i.NetNS.linkMessage(ifInfo(i.Index))
	if errors.Is(err, unix.ENODEV) {
		return Attached{}, i.gone()
	}
	if err != nil {
		return Attached{}, fmt.Errorf("asking for the XDP program of %s: %w", i.Name, err)
	}
	programs, err := programsOf(msg)
	if err != nil {
		return Attached{}, fmt.Errorf("reading the attributes of %s: %w", i.Name, err)
	}
	if len(programs) == 0 {
		return Attached{}, nil
	}
	return programs[0], nil
}

// programsOf returns what an RTM_NEWLINK message says of XDP programs, one in hardware
// last: its IFLA_XDP attribute has one program id a mode (linux/if_link.h).
func programsOf(msg []byte) (programs []Attached, err error) {
	xdp, err := attribute(msg[unix.SizeofIfInfomsg:], unix.IFLA_XDP)
	if err != nil {
		return nil, err
	}
	for _, in := range []struct {
		attr uint16
		mode chain.Mode
	}{
		{unix.IFLA_XDP_DRV_PROG_ID, chain.ModeNative},
		{unix.IFLA_XDP_SKB_PROG_ID, chain.ModeGeneric},
		{unix.IFLA_XDP_HW_PROG_ID, chain.ModeOffload},
	} {
		value, err := attribute(xdp, in.attr)
		if err != nil {
			return nil, fmt.Errorf("reading IFLA_XDP: %w", err)
		}
		if len(value) < 4 {
			continue
		}
		if id := ebpf.ProgramID(binary.NativeEndian.Uint32(value)); id != 0 {
			programs = append(programs, Attached{ProgramID: id, Mode: in.mode})
		}
	}
	return programs, nil
}

// gone is the error about an interface that was there and is no more.
func (i *Interface) gone() error {
	return fmt.Errorf("%w: %s (index %d) is gone from network namespace %q", ErrNoInterface, i.Name, i.Index, i.NetNS.path)
}

func (i *Interface) isGone() bool {
	_, err := i.Attached()
	return errors.Is(err, ErrNoInterface)
}

// Holder returns all of [Attached]: also the program's name and what holds it. It is
// slow, as it may look at every bpf_link on the machine.
func (i *Interface) Holder() (Attached, error) {
	a, err := i.Attached()
	if err != nil || a.ProgramID == 0 {
		return a, err
	}
	p, err := ebpf.NewProgramFromID(a.ProgramID)
	if err != nil {
		return a, fmt.Errorf("opening XDP program %d of %s: %w", a.ProgramID, i.Name, err)
	}
	defer p.Close()
	info, err := p.Info()
	if err != nil {
		return a, fmt.Errorf("reading about XDP program %d of %s: %w", a.ProgramID, i.Name, err)
	}
	a.Name = strings.TrimSpace(info.Name)
	if a.Attach, err = i.heldBy(a, p); err != nil || a.Attach == chain.AttachNetlink {
		return a, err
	}
	links, err := FindLinks()
	a.LinkID = links.only(i.Index, a.ProgramID)
	return a, err
}

// heldBy tells what holds program p on the interface: AttachLink or AttachNetlink.
// Replacing a program by itself changes nothing; but where a bpf_link holds the hook the
// kernel refuses even that, and that is the one way to know.
func (i *Interface) heldBy(a Attached, p *ebpf.Program) (chain.Attach, error) {
	err := i.setXDP(p.FD(), p.FD(), modeFlags(a.Mode))
	if errors.Is(err, unix.EBUSY) {
		return chain.AttachLink, nil
	}
	return chain.AttachNetlink, errs.Wrapf(err, "finding out what holds XDP program %d of %s", a.ProgramID, i.Name)
}

// Hook is an interface and the XDP programs on it.
type Hook struct {
	*Interface
	// Programs are what it carries: one, none, or one in software and behind it one in
	// hardware.
	Programs []Attached
}

// dumpTries bounds how often the interfaces are listed again that change under our eyes.
const dumpTries = 10

// Hooks returns the interfaces of the namespace by their index, those without a program
// too, from one RTM_GETLINK dump. The interfaces are usable until the namespace is closed.
func (n *NetNS) Hooks() ([]Hook, error) {
	msgs, err := n.getLinks(unix.NLM_F_DUMP, nl.NewIfInfomsg(unix.AF_UNSPEC))
	// A dump that the kernel says was interrupted by a change may lack an interface that
	// was there all along.
	for try := 1; try < dumpTries && errors.Is(err, nl.ErrDumpInterrupted); try++ {
		msgs, err = n.getLinks(unix.NLM_F_DUMP, nl.NewIfInfomsg(unix.AF_UNSPEC))
	}
	if err != nil {
		return nil, fmt.Errorf("listing the interfaces of network namespace %q: %w", n.path, err)
	}
	hooks := make([]Hook, len(msgs))
	for at, msg := range msgs {
		h := &hooks[at]
		if h.Interface, err = n.newInterface(msg); err == nil {
			h.Programs, err = programsOf(msg)
		}
		if err != nil {
			return nil, fmt.Errorf("reading about an interface of network namespace %q: %w", n.path, err)
		}
	}
	return hooks, nil
}

// Links are the bpf_links on the machine that hold XDP programs.
type Links map[linkPlace][]link.ID

// linkPlace is all that a link tells of where it is: not its network namespace.
type linkPlace struct {
	ifindex int
	program ebpf.ProgramID
}

// FindLinks looks at every bpf_link on the machine, which is slow.
func FindLinks() (Links, error) {
	found := make(Links)
	err := EachLink(func(l link.Link) {
		info, err := l.Info()
		if err != nil {
			return // gone since it was listed
		}
		if xdp := info.XDP(); xdp != nil {
			at := linkPlace{int(xdp.Ifindex), info.Program}
			found[at] = append(found[at], info.ID)
		}
	})
	return found, err
}

// unfinishedFor is how long a link may be between getting its id and being finished.
const unfinishedFor = time.Second

// EachLink calls f with each bpf_link of the machine, which it closes when f returns. For
// one that its maker has not finished yet the kernel says EAGAIN (bpf_link_by_id in
// kernel/bpf/syscall.c), and it is asked again.
func EachLink(f func(link.Link)) error {
	links := new(link.Iterator)
	defer func() { links.Close() }()
	for start := time.Now(); ; {
		for links.Next() {
			f(links.Link)
		}
		err := links.Err()
		if err == nil {
			return nil
		}
		if !errors.Is(err, unix.EAGAIN) || time.Since(start) > unfinishedFor {
			return fmt.Errorf("listing bpf_links: %w", err)
		}
		links = &link.Iterator{ID: links.ID} // goes on behind the last one that was there
	}
}

// only returns the id of the one XDP link with this program and this interface index.
// Where the same program sits on the same index in several namespaces, which is which
// cannot be told and the id is 0.
func (l Links) only(ifindex int, program ebpf.ProgramID) link.ID {
	if ids := l[linkPlace{ifindex, program}]; len(ids) == 1 {
		return ids[0]
	}
	return 0
}

// HeldBy fills in what holds a program that is on the interface, given the links of the
// machine. It asks the interface only where a link may be what does.
func (i *Interface) HeldBy(a Attached, links Links) (Attached, error) {
	a.Attach = chain.AttachNetlink
	if len(links[linkPlace{i.Index, a.ProgramID}]) == 0 {
		return a, nil
	}
	p, err := ebpf.NewProgramFromID(a.ProgramID)
	if err != nil {
		return a, fmt.Errorf("opening XDP program %d of %s: %w", a.ProgramID, i.Name, err)
	}
	defer p.Close()
	if a.Attach, err = i.heldBy(a, p); a.Attach == chain.AttachLink {
		a.LinkID = links.only(i.Index, a.ProgramID)
	}
	return a, err
}
