// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/xdp-chain/xdp-chain/internal/config"
	"github.com/xdp-chain/xdp-chain/internal/crashtest"
	"github.com/xdp-chain/xdp-chain/internal/node/inspect"
	"github.com/xdp-chain/xdp-chain/internal/node/resolve"
	"github.com/xdp-chain/xdp-chain/internal/record"
	"github.com/xdp-chain/xdp-chain/internal/testenv"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
	"github.com/xdp-chain/xdp-chain/pkg/netdev"
)

func TestMain(m *testing.M) {
	crashtest.Child(bodies)
	testenv.Main(m)
}

// pod is a pod's namespace with eth0 in it, and what an ADD for it would ask for.
type pod struct {
	resolve.Attachment
	host string // the peer's name
}

// way is how a chain is made and held.
type way struct {
	dispatcher chain.Dispatcher
	attach     chain.Attach
}

var ways = []way{
	{chain.DispatcherLinked, chain.AttachLink},
	{chain.DispatcherLinked, chain.AttachNetlink},
	{chain.DispatcherLibxdp, chain.AttachNetlink},
}

func (w way) String() string { return w.dispatcher.String() + " by " + w.attach.String() }

// pod is one whose chains are to be made that way.
func (w way) pod(t *testing.T) *pod {
	t.Helper()
	if w.dispatcher == chain.DispatcherLibxdp {
		testenv.NeedFreplace(t)
	}
	p := newPod(t, 0)
	p.Dispatcher, p.Attach = w.dispatcher, w.attach
	return p
}

// counts are the counts that such a chain tells.
func (w way) counts(packets []chain.Count) []chain.Count {
	if w.dispatcher == chain.DispatcherLibxdp {
		return []chain.Count{}
	}
	return packets
}

func newPod(t *testing.T, mtu int) *pod {
	t.Helper()
	ns := testenv.NewNetNS(t)
	id := filepath.Base(ns)
	host := fmt.Sprintf("v%.12s", id)
	testenv.Veth(t, ns, "eth0", host, mtu)
	return &pod{
		Attachment: resolve.Attachment{
			Owner: record.Owner{Network: "podnet", ContainerID: id, Ifname: "eth0", PodNamespace: "default", PodName: "web"},
			NetNS: ns, Counters: true,
		},
		host: host,
	}
}

func programs(names ...string) []config.Program {
	list := make([]config.Program, len(names))
	for i, name := range names {
		priority := 10 * (i + 1)
		list[i] = config.Program{Name: name, Priority: &priority}
	}
	return list
}

func onHost(p config.Program) config.Program {
	side := config.HostSide
	p.Side = &side
	return p
}

func (p *pod) apply(t *testing.T, n *Node, list ...config.Program) {
	t.Helper()
	p.Programs = list
	if err := n.Apply(t.Context(), p.Attachment); err != nil {
		t.Fatalf("apply: %v", err)
	}
}

func (p *pod) remove(t *testing.T, n *Node) {
	t.Helper()
	if err := n.Remove(t.Context(), p.Network, p.ContainerID, p.Ifname); err != nil {
		t.Fatalf("remove: %v", err)
	}
}

// frame is an IPv4 UDP packet to nobody.
var frame = slices.Concat(
	[]byte{2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x08, 0x00},
	[]byte{0x45, 0, 0, 28, 0, 0, 0x40, 0, 64, 17, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2},
	[]byte{0x30, 0x39, 0, 9, 0, 8, 0, 0}, make([]byte, 18))

// send sends frames to the pod and waits until its chain has counted as many.
func (p *pod) send(t *testing.T, n *Node, count int) {
	t.Helper()
	p.sendFrames(t, n, slices.Repeat([][]byte{frame}, count)...)
}

func (p *pod) sendFrames(t *testing.T, n *Node, frames ...[]byte) {
	t.Helper()
	before := p.entered(t, n)
	testenv.Send(t, "", p.host, frames...)
	deadline := time.Now().Add(5 * time.Second)
	for p.entered(t, n) < before+uint64(len(frames)) {
		if time.Now().After(deadline) {
			t.Fatalf("of %d frames sent the chain has counted %d", len(frames), p.entered(t, n)-before)
		}
		time.Sleep(time.Millisecond)
	}
}

// entered is how many packets the pod's side has seen: by the chain's rows, or where
// its dispatcher cannot count by its member count, which has to be the first.
func (p *pod) entered(t *testing.T, n *Node) uint64 {
	t.Helper()
	if c := p.chain(t, n, config.PodSide); c.Dispatcher == chain.DispatcherLibxdp {
		return countedBy(t, c.Members[0].ProgramID)
	}
	return sum(p.rows(t, n, config.PodSide))
}

func sum(rows []chain.Count) (packets uint64) {
	for _, r := range rows {
		packets += r.Packets
	}
	return packets
}

// chain finds the pod's chain on one side in the list; nil where there is none.
func (p *pod) chain(t *testing.T, n *Node, side config.Side) *inspect.Chain {
	t.Helper()
	list, err := inspect.List(n.Node)
	if err != nil {
		t.Fatalf("list: %v", err)
	}
	for i, c := range list {
		if c.Side == side && slices.ContainsFunc(c.Owners, func(o record.Owner) bool { return o.ContainerID == p.ContainerID }) {
			return &list[i]
		}
	}
	return nil
}

func (p *pod) rows(t *testing.T, n *Node, side config.Side) []chain.Count {
	t.Helper()
	c := p.chain(t, n, side)
	if c == nil {
		t.Fatalf("%s has no chain on side %s", p.ContainerID, side)
	}
	stats, err := inspect.Stats(n.Node)
	if err != nil {
		t.Fatalf("stats: %v", err)
	}
	for _, s := range stats {
		if s.Key == c.Key {
			return s.Rows
		}
	}
	t.Fatalf("no stats of chain %s", c.Key)
	return nil
}

// attached is what an end of the pod's veth pair carries.
func (p *pod) attached(t *testing.T, side config.Side) netdev.Attached {
	t.Helper()
	iface := p.open(t, side)
	defer iface.NetNS.Close()
	a, err := iface.Attached()
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func (p *pod) open(t *testing.T, side config.Side) *netdev.Interface {
	t.Helper()
	open, name := func() (*netdev.NetNS, error) { return netdev.OpenNetNS(p.NetNS) }, p.Ifname
	if side == config.HostSide {
		open, name = netdev.CurrentNetNS, p.host
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

func TestApplyAndRemove(t *testing.T) {
	testenv.NoLeaks(t)
	n, p := Default(), newPod(t, 0)
	p.apply(t, n, append(programs("count", "pass", "drop"), onHost(programs("count")[0]))...)

	c := p.chain(t, n, config.PodSide)
	want := &inspect.Chain{
		Key: c.Key,
		Placement: inspect.Placement{
			Interface: "eth0", Ifindex: c.Key.Ifindex, NetNS: p.NetNS, Side: config.PodSide,
			Mode: chain.ModeNative, Attach: chain.AttachLink, Dispatcher: chain.DispatcherLinked, DispatcherReason: c.DispatcherReason,
		},
		Generation: 1, Owners: []record.Owner{p.Owner},
		Members: []inspect.Member{
			{Member: chain.Member{Name: "count", Function: c.Members[0].Function, Priority: 10, ProceedOn: chain.DefaultProceedOn}, Position: 0, Owner: p.Owner},
			{Member: chain.Member{Name: "pass", Function: c.Members[1].Function, Priority: 20, ProceedOn: chain.DefaultProceedOn}, Position: 1, Owner: p.Owner},
			{Member: chain.Member{Name: "drop", Function: c.Members[2].Function, Priority: 30, ProceedOn: chain.DefaultProceedOn}, Position: 2, Owner: p.Owner},
		},
	}
	if diff := cmp.Diff(want, c, cmpopts.IgnoreFields(inspect.Member{}, "ID", "CreatedAt")); diff != "" {
		t.Error(diff)
	}
	if c.DispatcherReason == "" {
		t.Error("no word of why it is this dispatcher")
	}
	p.send(t, n, 7)
	if diff := cmp.Diff([]chain.Count{{Member: "drop", Verdict: chain.VerdictDrop, Packets: 7}}, p.rows(t, n, config.PodSide)); diff != "" {
		t.Error(diff)
	}
	if p.chain(t, n, config.HostSide) == nil || p.attached(t, config.HostSide).ProgramID == 0 {
		t.Error("no chain on side host")
	}
	if err := n.Check(t.Context(), p.Attachment); err != nil {
		t.Errorf("check: %v", err)
	}
	p.remove(t, n)
	for _, side := range []config.Side{config.PodSide, config.HostSide} {
		if a := p.attached(t, side); a.ProgramID != 0 {
			t.Errorf("side %s still carries %s", side, a)
		}
	}
	p.remove(t, n)
}

func TestApplyTwiceChangesNothing(t *testing.T) {
	for _, w := range ways {
		t.Run(w.String(), func(t *testing.T) {
			testenv.NoLeaks(t)
			n, p := Default(), w.pod(t)
			p.apply(t, n, programs("count", "acl")...)
			before, chainBefore := p.attached(t, config.PodSide), p.chain(t, n, config.PodSide)
			p.apply(t, n, programs("count", "acl")...)
			if diff := cmp.Diff(before, p.attached(t, config.PodSide)); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(chainBefore, p.chain(t, n, config.PodSide)); diff != "" {
				t.Error(diff)
			}
			p.remove(t, n)
		})
	}
}

func TestMembersThatStayKeepCountsAndMaps(t *testing.T) {
	for _, w := range ways {
		t.Run(w.String(), func(t *testing.T) {
			testenv.NoLeaks(t)
			n, p := Default(), w.pod(t)
			p.apply(t, n, programs("count", "pass")...)
			p.send(t, n, 3)
			p.apply(t, n, programs("count", "drop")...)
			p.send(t, n, 4)
			p.apply(t, n, programs("count", "pass", "acl")...)
			p.send(t, n, 5)
			want := []chain.Count{
				{Member: chain.RemovedMember, Verdict: chain.VerdictDrop, Packets: 4},
				{Member: "(end)", Verdict: chain.VerdictPass, Packets: 8},
			}
			if diff := cmp.Diff(w.counts(want), p.rows(t, n, config.PodSide)); diff != "" {
				t.Error(diff)
			}
			if c := p.chain(t, n, config.PodSide); c.Generation != 3 {
				t.Errorf("generation %d, want 3", c.Generation)
			}
			if got := p.countedIPv4(t, n); got != 12 {
				t.Errorf("count's own map says %d packets, want 12: it was not kept", got)
			}
			p.remove(t, n)
		})
	}
}

func TestTwoOwnersShareAChain(t *testing.T) {
	testenv.NoLeaks(t)
	n, p := Default(), newPod(t, 0)
	copied := filepath.Join(t.TempDir(), "drop.o")
	copyFile(t, "../../bpf/drop/drop.o", copied)
	first := *p
	first.apply(t, n, config.Program{Name: "mine", Object: copied})
	second := *p
	second.Network = "other"
	second.apply(t, n, programs("count")...)
	if names := memberList(p.chain(t, n, config.PodSide)); names != "count mine" {
		t.Errorf("members %q, want %q", names, "count mine")
	}

	clash := *p
	clash.Network, clash.Programs = "third", programs("count")
	if err := n.Apply(t.Context(), clash.Attachment); !errors.Is(err, chain.ErrInvalid) {
		t.Errorf("a second member of one name: %v", err)
	}

	// The file has changed since: the chain is rebuilt from the store.
	if err := os.WriteFile(copied, []byte("something else"), 0o600); err != nil {
		t.Fatal(err)
	}
	second.remove(t, n)
	c := p.chain(t, n, config.PodSide)
	if names := memberList(c); names != "mine" || len(c.Owners) != 1 {
		t.Errorf("members %q of %d owners, want mine of one", names, len(c.Owners))
	}
	p.send(t, n, 2)
	if diff := cmp.Diff([]chain.Count{{Member: "mine", Verdict: chain.VerdictDrop, Packets: 2}}, p.rows(t, n, config.PodSide)); diff != "" {
		t.Error(diff)
	}
	first.remove(t, n)
}

func memberList(c *inspect.Chain) string {
	var names []string
	for _, m := range c.Members {
		names = append(names, m.Name)
	}
	return strings.Join(names, " ")
}

// countedIPv4 reads the packets of IPv4 from the map of the built-in count.
func (p *pod) countedIPv4(t *testing.T, n *Node) (packets uint64) {
	t.Helper()
	return sumPinned(t, filepath.Join(p.folder(t, n), "maps/count/traffic"))
}

func TestFailedApplyLeavesNothing(t *testing.T) {
	n := Default()
	good := programs("count")[0]
	for _, tt := range []struct {
		name   string
		change func(t *testing.T, p *pod)
		want   error
	}{
		{"host side busy", func(t *testing.T, p *pod) {
			p.occupy(t, config.HostSide)
			p.Programs = []config.Program{good, onHost(good)}
		}, netdev.ErrBusy},
		{"pod side busy", func(t *testing.T, p *pod) {
			p.occupy(t, config.PodSide)
			p.Programs = []config.Program{good}
		}, netdev.ErrBusy},
		{"no such interface", func(t *testing.T, p *pod) {
			p.Ifname, p.Programs = "eth7", []config.Program{good}
		}, netdev.ErrNoInterface},
		{"no such namespace", func(t *testing.T, p *pod) {
			p.NetNS, p.Programs = "/run/netns/gone", []config.Program{good}
		}, netdev.ErrNetNSGone},
		{"time is up", func(t *testing.T, p *pod) { p.Programs = []config.Program{good} }, context.Canceled},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := newPod(t, 0)
			tt.change(t, p)
			testenv.NoLeaks(t)
			ctx, cancel := context.WithCancel(t.Context())
			if tt.want == context.Canceled {
				cancel()
			}
			defer cancel()
			if err := n.Apply(ctx, p.Attachment); !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
			if list, err := inspect.List(n.Node); err != nil || len(list) != 0 {
				t.Errorf("left in the list: %v, %v", list, err)
			}
		})
	}
}

// occupy puts a foreign program on an interface until the test ends.
func (p *pod) occupy(t *testing.T, side config.Side) {
	t.Helper()
	iface, foreign := p.open(t, side), foreignProgram(t)
	t.Cleanup(func() { iface.NetNS.Close() })
	placed, err := iface.AttachNetlink(netdev.AttachOptions{Program: foreign, Mode: chain.ModeNative})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { iface.DetachNetlink(foreign, placed.Mode) })
}

func TestModesOnAJumboInterface(t *testing.T) {
	n := Default()
	object := absolute(t, "../../pkg/object/testdata/plain.o")
	withFrags := chain.ModeNative // built-ins are frags-aware
	if testenv.HaveFrags() != nil {
		withFrags = chain.ModeGeneric // as are kernels since 5.18
	}
	for _, tt := range []struct {
		mode   chain.Mode
		object string
		want   chain.Mode
		err    error
	}{
		{chain.ModeAuto, "", withFrags, nil},
		{chain.ModeAuto, object, chain.ModeGeneric, nil},
		{chain.ModeGeneric, object, chain.ModeGeneric, nil},
		{chain.ModeNative, object, 0, netdev.ErrUnsupported},
		{chain.ModeOffload, object, 0, netdev.ErrUnsupported},
	} {
		t.Run(fmt.Sprintf("%s %q", tt.mode, filepath.Base(tt.object)), func(t *testing.T) {
			testenv.NoLeaks(t)
			p := newPod(t, 9000)
			p.Mode, p.Programs = tt.mode, []config.Program{{Name: "pass", Object: tt.object}}
			if err := n.Apply(t.Context(), p.Attachment); !errors.Is(err, tt.err) {
				t.Fatalf("got %v, want %v", err, tt.err)
			}
			if tt.err != nil {
				return
			}
			c := p.chain(t, n, config.PodSide)
			if c.Mode != tt.want || p.attached(t, config.PodSide).Mode != tt.want {
				t.Errorf("mode %s, want %s", c.Mode, tt.want)
			}
			if wantWhy := tt.mode == chain.ModeAuto && tt.want == chain.ModeGeneric; (c.ModeReason != "") != wantWhy {
				t.Errorf("reason for the mode: %q", c.ModeReason)
			}
			p.remove(t, n)
		})
	}
}

func TestListAndStatsInJSON(t *testing.T) {
	testenv.NoLeaks(t)
	n, p := Default(), newPod(t, 0)
	p.apply(t, n, programs("count")...)
	defer p.remove(t, n)
	p.send(t, n, 1)
	list, _ := inspect.List(n.Node)
	stats, _ := inspect.Stats(n.Node)
	for _, tt := range []struct {
		value any
		want  []string
	}{
		{list, []string{"key", "interface", "ifindex", "netns", "side", "mode", "attach", "dispatcher", "dispatcherReason", "generation", "owners", "members", "state"}},
		{list[0].Owners, []string{"kind", "network", "containerID", "ifname", "podNamespace", "podName"}},
		{list[0].Members, []string{"name", "function", "priority", "proceedOn", "owner", "position", "id", "createdAt"}},
		{stats, []string{"key", "interface", "state", "rows"}},
		{stats[0].Rows, []string{"member", "verdict", "packets"}},
	} {
		text, err := json.Marshal(tt.value)
		if err != nil {
			t.Fatal(err)
		}
		var got []map[string]json.RawMessage
		if err := json.Unmarshal(text, &got); err != nil || len(got) != 1 {
			t.Fatalf("%s: %v", text, err)
		}
		slices.Sort(tt.want)
		var names []string
		for name := range got[0] {
			names = append(names, name)
		}
		slices.Sort(names)
		if diff := cmp.Diff(tt.want, names); diff != "" {
			t.Errorf("%s: %s", text, diff)
		}
	}
}
