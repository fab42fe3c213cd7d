// SPDX-License-Identifier: Apache-2.0

package netdev

import (
	"errors"
	"fmt"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"github.com/xdp-chain/xdp-chain/pkg/chain"
)

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
	byLink, err := i.heldByLink(a, p)
	if byLink {
		a.Attach, a.LinkID = chain.AttachLink, links.only(i.Index, a.ProgramID)
	}
	return a, err
}
