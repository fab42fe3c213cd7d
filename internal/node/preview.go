// SPDX-License-Identifier: Apache-2.0

package node

import (
	"fmt"
	"slices"

	"github.com/xdp-chain/xdp-chain/internal/config"
	"github.com/xdp-chain/xdp-chain/internal/enum"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
)

// Foreseen is the chain that an interface would get. Its JSON form is stable: fields are
// added, none is taken away or given another meaning.
type Foreseen struct {
	Side config.Side `json:"side"`
	// Members in running order.
	Members []ForeseenMember `json:"members"`
}

// ForeseenMember is a member of such a chain.
type ForeseenMember struct {
	chain.Member
	// Position is the member's rank in the running order, from 0.
	Position int `json:"position"`
	// Source is who asks for it.
	Source Source `json:"source"`
	// Origin is where its object comes from: a path, or the name of a built-in.
	Origin string `json:"origin"`
	// CatalogFile is the catalog file that gives it; empty where none does.
	CatalogFile string `json:"catalogFile,omitempty"`
}

// Source says who asks for a member. The zero value is SourceConflist.
type Source uint8

// The sources of members.
const (
	// SourceConflist is the network's configuration.
	SourceConflist Source = iota
	// SourceAnnotation is an annotation of the pod.
	SourceAnnotation
)

var sourceNames = enum.Names[Source]{
	What: "source", Invalid: chain.ErrInvalid, List: []string{"conflist", "annotation"},
}

// Preview returns the chains that Apply would give to an attachment, the pod's side
// first, or why it would refuse to. It reads the objects' files and touches nothing:
// neither the kernel, which may yet refuse a program, nor the node's state. The names of the
// attachment, its namespace and what its pod got are not looked at.
func Preview(a Attachment) ([]Foreseen, error) {
	a.Pod = examplePod
	sides := a.sides()
	wants, err := resolveSides(newResolver(a.Catalog), &a, nil, sides)
	if err != nil {
		return nil, err
	}
	c := chooseLinked("")
	if a.Dispatcher == chain.DispatcherLibxdp {
		c = chooseLibxdp(a.LibxdpVersion, "")
	}
	list := []Foreseen{}
	for _, side := range []config.Side{config.PodSide, config.HostSide} {
		if len(wants[side]) == 0 {
			continue
		}
		if err := checkCount(&plan{members: wants[side]}, c, nil); err != nil {
			return nil, fmt.Errorf("side %s: %w", side, err)
		}
		list = append(list, Foreseen{Side: side, Members: foreseen(wants[side])})
	}
	return list, nil
}

func foreseen(wants []wanted) []ForeseenMember {
	slices.SortFunc(wants, func(a, b wanted) int { return chain.Compare(a.Member.Member, b.Member.Member) })
	members := make([]ForeseenMember, len(wants))
	for i, w := range wants {
		members[i] = ForeseenMember{
			Member: w.Member.Member, Position: i, Source: SourceConflist,
			Origin: w.object.Origin, CatalogFile: w.file,
		}
		if w.asked {
			members[i].Source = SourceAnnotation
		}
	}
	return members
}
