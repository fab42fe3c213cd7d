// SPDX-License-Identifier: Apache-2.0

package resolve

import (
	"net"
	"net/netip"
	"slices"

	"github.com/xdp-chain/xdp-chain/internal/catalog"
	"github.com/xdp-chain/xdp-chain/internal/config"
	"github.com/xdp-chain/xdp-chain/internal/record"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
	"github.com/xdp-chain/xdp-chain/pkg/object"
)

// Attachment is what one CNI attachment wants: which programs, on which ends of
// its veth pair, and how they are to be put there.
type Attachment struct {
	// Owner is whose the members are: the attachment, as CNI names it. The pod's names are
	// shown, and nothing depends on them.
	record.Owner
	// Requested is how the chains are to be built and held.
	config.Requested
	// NetNS is the path of the pod's network namespace.
	NetNS string
	// Side is where programs go that name no side of their own.
	Side config.Side
	// Counters says whether the dispatcher counts who decided.
	Counters bool
	// Programs is what the configuration lists, in any order. One with a band is what
	// the pod's annotation names.
	Programs []config.Program
	// Catalog has the programs that have no object of their own; nil has the built-in
	// ones.
	Catalog *catalog.Catalog
	// Pod fills the placeholders of globals and map entries. Where Ifindex is 0, or
	// MAC nil, it is taken from the interface.
	Pod object.Pod
}

// AttachmentOf returns what the configuration alone says about each attachment to
// its network. It opens no catalog.
func AttachmentOf(c *config.Conf) Attachment {
	return Attachment{
		Owner: record.Owner{Network: c.Name}, Requested: c.Requested,
		Side: c.Side, Counters: c.Counters, Programs: c.Programs,
	}
}

// AttachmentFor returns what the configuration says about the attachment of a pod with
// these annotations. It opens the catalog if a program may come from it. Errors are those
// of [catalog.Open] and of [catalog.Catalog.Programs].
func AttachmentFor(c *config.Conf, annotations map[string]string) (Attachment, error) {
	a := AttachmentOf(c)
	annotation := annotations[catalog.Annotation]
	fromAnnotation := c.Annotations != nil && annotation != ""
	if !fromAnnotation && !slices.ContainsFunc(c.Programs, func(p config.Program) bool { return p.Object == "" }) {
		return a, nil
	}
	var err error
	if a.Catalog, err = catalog.Open(c.CatalogDir); err != nil {
		return Attachment{}, err
	}
	more, err := a.Catalog.Programs(c.Annotations, annotation, c.Programs)
	if err != nil {
		return Attachment{}, err
	}
	a.Programs = slices.Concat(c.Programs, more)
	return a, nil
}

// Sides returns the programs by the end of the veth pair they are for. An end
// without programs is not in the map.
func (a *Attachment) Sides() map[config.Side][]config.Program {
	by := make(map[config.Side][]config.Program)
	for _, p := range a.Programs {
		side := a.Side
		if p.Side != nil {
			side = *p.Side
		}
		by[side] = append(by[side], p)
	}
	return by
}

// Asking returns the attachment of a pod that asks for a program at the end of the chain.
// A program of that name that the configuration lists makes room for it: then every pod
// that asks for it is refused, and the question is only whether it is right.
func (a *Attachment) Asking(name string) *Attachment {
	asking := *a
	asking.Programs = slices.DeleteFunc(slices.Clone(a.Programs), func(p config.Program) bool {
		return p.Name == name || p.Side != nil && *p.Side != a.Side
	})
	last := chain.MaxPriority
	asking.Programs = append(asking.Programs, config.Program{Name: name, Priority: &last, Band: &config.Band{Min: last, Max: last}})
	return &asking
}

// ExamplePod stands for the pods to come: addresses of the documentation ranges
// (RFC 5737, RFC 3849) and of the locally administered MAC range.
var ExamplePod = object.Pod{
	IP: netip.MustParseAddr("192.0.2.1"), IP6: netip.MustParseAddr("2001:db8::1"),
	MAC: net.HardwareAddr{0x02, 0, 0, 0, 0, 1}, Ifindex: 2, Name: "pod", Namespace: "default",
}
