// SPDX-License-Identifier: Apache-2.0

package netdev

import (
	"fmt"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"

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
	links := new(link.Iterator)
	defer links.Close()
	for links.Next() {
		info, err := links.Link.Info()
		if err != nil {
			continue // gone since it was listed
		}
		if xdp := info.XDP(); xdp != nil {
			at := linkPlace{int(xdp.Ifindex), info.Program}
			found[at] = append(found[at], info.ID)
		}
	}
	if err := links.Err(); err != nil {
		return nil, fmt.Errorf("listing bpf_links: %w", err)
	}
	return found, nil
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
