// SPDX-License-Identifier: Apache-2.0

package nodetest

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/xdp-chain/xdp-chain/internal/config"
	"github.com/xdp-chain/xdp-chain/internal/node"
	"github.com/xdp-chain/xdp-chain/internal/node/inspect"
	"github.com/xdp-chain/xdp-chain/internal/node/resolve"
	"github.com/xdp-chain/xdp-chain/internal/record"
	"github.com/xdp-chain/xdp-chain/internal/testenv"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
	"github.com/xdp-chain/xdp-chain/pkg/netdev"
)

// Pod is a pod's namespace with eth0 in it, and what an ADD for it would ask for.
type Pod struct {
	resolve.Attachment
	// Host is the name of the veth pair's other end, in the namespace of the test.
	Host string
}

// NewPod makes a pod of the network podnet, with a veth pair of that MTU; 0 is the kernel's
// own choice. All of it goes at the end of the test.
func NewPod(t *testing.T, mtu int) *Pod {
	t.Helper()
	ns := testenv.NewNetNS(t)
	id := filepath.Base(ns)
	host := fmt.Sprintf("v%.12s", id)
	testenv.Veth(t, ns, "eth0", host, mtu)
	return &Pod{
		Attachment: resolve.Attachment{
			Owner: record.Owner{Network: "podnet", ContainerID: id, Ifname: "eth0", PodNamespace: "default", PodName: "web"},
			NetNS: ns, Counters: true,
		},
		Host: host,
	}
}

// Way is how a chain is made and held.
type Way struct {
	Dispatcher chain.Dispatcher
	Attach     chain.Attach
}

// Ways are all there are: the linked dispatcher by link and by netlink, then libxdp's.
var Ways = []Way{
	{chain.DispatcherLinked, chain.AttachLink},
	{chain.DispatcherLinked, chain.AttachNetlink},
	{chain.DispatcherLibxdp, chain.AttachNetlink},
}

func (w Way) String() string { return w.Dispatcher.String() + " by " + w.Attach.String() }

// Pod is one whose chains are to be made that way.
func (w Way) Pod(t *testing.T) *Pod {
	t.Helper()
	if w.Dispatcher == chain.DispatcherLibxdp {
		testenv.NeedFreplace(t)
	}
	p := NewPod(t, 0)
	p.Dispatcher, p.Attach = w.Dispatcher, w.Attach
	return p
}

// Counts are the counts that such a chain tells: none where its dispatcher cannot count.
func (w Way) Counts(packets []chain.Count) []chain.Count {
	if w.Dispatcher == chain.DispatcherLibxdp {
		return []chain.Count{}
	}
	return packets
}

// Programs are the built-ins of these names, at priorities 10, 20 and so on.
func Programs(names ...string) []config.Program {
	list := make([]config.Program, len(names))
	for i, name := range names {
		list[i] = At(10*(i+1), name)
	}
	return list
}

// At is a program with a priority.
func At(priority int, name string) config.Program {
	return config.Program{Name: name, Priority: &priority}
}

// OnHost is the program on the host's side.
func OnHost(p config.Program) config.Program {
	side := config.HostSide
	p.Side = &side
	return p
}

// Sharing is the built-in count, which shares its map with the network, and others behind it.
func Sharing(others ...string) []config.Program {
	list := Programs(append([]string{"count"}, others...)...)
	list[0].Maps = map[string]config.MapSettings{"traffic": {Scope: config.ScopeNode}}
	return list
}

// Apply makes these the pod's programs, and does an ADD.
func (p *Pod) Apply(t *testing.T, n *node.Node, list ...config.Program) {
	t.Helper()
	p.Programs = list
	if err := n.Apply(t.Context(), p.Attachment); err != nil {
		t.Fatalf("apply: %v", err)
	}
}

// Check does a CHECK.
func (p *Pod) Check(t *testing.T, n *node.Node) {
	t.Helper()
	if err := n.Check(t.Context(), p.Attachment); err != nil {
		t.Errorf("check: %v", err)
	}
}

// Remove does a DEL.
func (p *Pod) Remove(t *testing.T, n *node.Node) {
	t.Helper()
	if err := n.Remove(t.Context(), p.Network, p.ContainerID, p.Ifname); err != nil {
		t.Fatalf("remove: %v", err)
	}
}

// Sweep does what an ADD does for others besides: it takes dead chains away.
func Sweep(t *testing.T, n *node.Node) {
	t.Helper()
	if err := n.Sweep(t.Context(), 16); err != nil {
		t.Errorf("sweep: %v", err)
	}
}

// Open finds an end of the pod's veth pair. The caller closes its namespace.
func (p *Pod) Open(t *testing.T, side config.Side) *netdev.Interface {
	t.Helper()
	open, name := func() (*netdev.NetNS, error) { return netdev.OpenNetNS(p.NetNS) }, p.Ifname
	if side == config.HostSide {
		open, name = netdev.CurrentNetNS, p.Host
	}
	ns, err := open()
	if err != nil {
		t.Fatal(err)
	}
	iface, err := ns.InterfaceByName(name)
	if err != nil {
		ns.Close()
		t.Fatal(err)
	}
	return iface
}

// Key is the key of the chain on an end of the pod's veth pair.
func (p *Pod) Key(t *testing.T, side config.Side) chain.Key {
	t.Helper()
	iface := p.Open(t, side)
	defer iface.NetNS.Close()
	return iface.Key()
}

// Attached is what an end of the pod's veth pair carries.
func (p *Pod) Attached(t *testing.T, side config.Side) netdev.Attached {
	t.Helper()
	iface := p.Open(t, side)
	defer iface.NetNS.Close()
	a, err := iface.Attached()
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// WantNothing wants ends of the pod's veth pair to carry no XDP program.
func (p *Pod) WantNothing(t *testing.T, sides ...config.Side) {
	t.Helper()
	for _, side := range sides {
		if a := p.Attached(t, side); a.ProgramID != 0 {
			t.Errorf("side %s carries %s", side, a)
		}
	}
}

// Chain finds the chain on an end of the pod's veth pair in the list, whoever has members in
// it; nil where there is none.
func (p *Pod) Chain(t *testing.T, n *node.Node, side config.Side) *inspect.Chain {
	t.Helper()
	list, err := inspect.List(n.Node)
	if err != nil {
		t.Fatalf("list: %v", err)
	}
	key := p.Key(t, side)
	if i := slices.IndexFunc(list, func(c inspect.Chain) bool { return c.Key == key }); i >= 0 {
		return &list[i]
	}
	return nil
}

// Members are those of the chain on the pod's side, in running order; none where it has no
// chain.
func (p *Pod) Members(t *testing.T, n *node.Node) []inspect.Member {
	t.Helper()
	if c := p.Chain(t, n, config.PodSide); c != nil {
		return c.Members
	}
	return nil
}

// WantMembers compares the names of the members on the pod's side, such as "acl count".
func (p *Pod) WantMembers(t *testing.T, n *node.Node, want string) {
	t.Helper()
	if got := Names(p.Members(t, n)); got != want {
		t.Errorf("members %q, want %q", got, want)
	}
}

// Names are the members' names with a space between them.
func Names(members []inspect.Member) string {
	var names []string
	for _, m := range members {
		names = append(names, m.Name)
	}
	return strings.Join(names, " ")
}

// Folder is where the chain on the pod's side has its pins.
func (p *Pod) Folder(t *testing.T, n *node.Node) string {
	t.Helper()
	return filepath.Join(n.BPFFS.Root, "xdp-chain/chains", p.Key(t, config.PodSide).String())
}

// Rows are the counts of the chain on an end of the pod's veth pair.
func (p *Pod) Rows(t *testing.T, n *node.Node, side config.Side) []chain.Count {
	t.Helper()
	stats, err := inspect.Stats(n.Node)
	if err != nil {
		t.Fatalf("stats: %v", err)
	}
	key := p.Key(t, side)
	i := slices.IndexFunc(stats, func(s inspect.ChainStats) bool { return s.Key == key })
	if i < 0 {
		t.Fatalf("no stats of chain %s, on side %s", key, side)
	}
	return stats[i].Rows
}

// WantRows compares the counts of the chain on the pod's side.
func (p *Pod) WantRows(t *testing.T, n *node.Node, want []chain.Count) {
	t.Helper()
	if diff := cmp.Diff(want, p.Rows(t, n, config.PodSide)); diff != "" {
		t.Errorf("counts (-want +got):\n%s", diff)
	}
}

// Frame is an IPv4 UDP packet to nobody.
var Frame = slices.Concat(
	[]byte{2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x08, 0x00},
	[]byte{0x45, 0, 0, 28, 0, 0, 0x40, 0, 64, 17, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2},
	[]byte{0x30, 0x39, 0, 9, 0, 8, 0, 0}, make([]byte, 18))

// Send sends so many of [Frame] to the pod and waits until its chain has counted them.
func (p *Pod) Send(t *testing.T, n *node.Node, count int) {
	t.Helper()
	p.SendFrames(t, n, slices.Repeat([][]byte{Frame}, count)...)
}

// SendFrames sends frames to the pod and waits until its chain has counted as many.
func (p *Pod) SendFrames(t *testing.T, n *node.Node, frames ...[]byte) {
	t.Helper()
	before := p.Entered(t, n)
	testenv.Send(t, "", p.Host, frames...)
	deadline := time.Now().Add(5 * time.Second)
	for p.Entered(t, n) < before+uint64(len(frames)) {
		if time.Now().After(deadline) {
			t.Fatalf("of %d frames sent the chain has counted %d", len(frames), p.Entered(t, n)-before)
		}
		time.Sleep(time.Millisecond)
	}
}

// Entered is how many packets the pod's side has seen: by the chain's rows, or where
// its dispatcher cannot count by its member count, which has to be the first.
func (p *Pod) Entered(t *testing.T, n *node.Node) (packets uint64) {
	t.Helper()
	if c := p.Chain(t, n, config.PodSide); c.Dispatcher == chain.DispatcherLibxdp {
		return CountedBy(t, c.Members[0].ProgramID)
	}
	for _, r := range p.Rows(t, n, config.PodSide) {
		packets += r.Packets
	}
	return packets
}

// WantEntered waits until so many packets have entered the chain, and no more.
func (p *Pod) WantEntered(t *testing.T, n *node.Node, want uint64) {
	t.Helper()
	got := p.Entered(t, n)
	for deadline := time.Now().Add(time.Second); got < want && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
		got = p.Entered(t, n)
	}
	if got != want {
		t.Errorf("the chain counts %d packets, want %d", got, want)
	}
}

// CountedIPv4 reads the packets of IPv4 from the map of the built-in count.
func (p *Pod) CountedIPv4(t *testing.T, n *node.Node) (packets uint64) {
	t.Helper()
	return SumPinned(t, filepath.Join(p.Folder(t, n), "maps/count/traffic"))
}
