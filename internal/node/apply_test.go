// SPDX-License-Identifier: Apache-2.0

package node_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/xdp-chain/xdp-chain/internal/config"
	"github.com/xdp-chain/xdp-chain/internal/crashtest"
	"github.com/xdp-chain/xdp-chain/internal/node"
	"github.com/xdp-chain/xdp-chain/internal/node/inspect"
	"github.com/xdp-chain/xdp-chain/internal/node/nodetest"
	"github.com/xdp-chain/xdp-chain/internal/record"
	"github.com/xdp-chain/xdp-chain/internal/testenv"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
	"github.com/xdp-chain/xdp-chain/pkg/netdev"
)

func TestMain(m *testing.M) {
	bodies := nodetest.Bodies()
	bodies["manual"], bodies["many"] = manualInChild(oneAfterAnother), manualInChild(loadAndUnload)
	crashtest.Child(bodies)
	testenv.Main(m)
}

func TestApplyAndRemove(t *testing.T) {
	testenv.NoLeaks(t)
	n, p := node.Default(), nodetest.NewPod(t, 0)
	p.Apply(t, n, append(nodetest.Programs("count", "pass", "drop"), nodetest.OnHost(nodetest.At(10, "count")))...)

	c := p.Chain(t, n, config.PodSide)
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
	p.Send(t, n, 7)
	p.WantRows(t, n, []chain.Count{{Member: "drop", Verdict: chain.VerdictDrop, Packets: 7}})
	if p.Chain(t, n, config.HostSide) == nil || p.Attached(t, config.HostSide).ProgramID == 0 {
		t.Error("no chain on side host")
	}
	p.Check(t, n)
	p.Remove(t, n)
	p.WantNothing(t, config.PodSide, config.HostSide)
	p.Remove(t, n)
}

func TestApplyTwiceChangesNothing(t *testing.T) {
	for _, w := range nodetest.Ways {
		t.Run(w.String(), func(t *testing.T) {
			testenv.NoLeaks(t)
			n, p := node.Default(), w.Pod(t)
			p.Apply(t, n, nodetest.Programs("count", "acl")...)
			before, chainBefore := p.Attached(t, config.PodSide), p.Chain(t, n, config.PodSide)
			p.Apply(t, n, nodetest.Programs("count", "acl")...)
			if diff := cmp.Diff(before, p.Attached(t, config.PodSide)); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(chainBefore, p.Chain(t, n, config.PodSide)); diff != "" {
				t.Error(diff)
			}
			p.Remove(t, n)
		})
	}
}

func TestMembersThatStayKeepCountsAndMaps(t *testing.T) {
	for _, w := range nodetest.Ways {
		t.Run(w.String(), func(t *testing.T) {
			testenv.NoLeaks(t)
			n, p := node.Default(), w.Pod(t)
			p.Apply(t, n, nodetest.Programs("count", "pass")...)
			p.Send(t, n, 3)
			p.Apply(t, n, nodetest.Programs("count", "drop")...)
			p.Send(t, n, 4)
			p.Apply(t, n, nodetest.Programs("count", "pass", "acl")...)
			p.Send(t, n, 5)
			want := []chain.Count{
				{Member: chain.RemovedMember, Verdict: chain.VerdictDrop, Packets: 4},
				{Member: "(end)", Verdict: chain.VerdictPass, Packets: 8},
			}
			p.WantRows(t, n, w.Counts(want))
			if c := p.Chain(t, n, config.PodSide); c.Generation != 3 {
				t.Errorf("generation %d, want 3", c.Generation)
			}
			if got := p.CountedIPv4(t, n); got != 12 {
				t.Errorf("count's own map says %d packets, want 12: it was not kept", got)
			}
			p.Remove(t, n)
		})
	}
}

func TestTwoOwnersShareAChain(t *testing.T) {
	testenv.NoLeaks(t)
	n, p := node.Default(), nodetest.NewPod(t, 0)
	copied := filepath.Join(t.TempDir(), "drop.o")
	nodetest.Copy(t, "bpf/drop/drop.o", copied)
	first := *p
	first.Apply(t, n, config.Program{Name: "mine", Object: copied})
	second := *p
	second.Network = "other"
	second.Apply(t, n, nodetest.Programs("count")...)
	p.WantMembers(t, n, "count mine")

	clash := *p
	clash.Network, clash.Programs = "third", nodetest.Programs("count")
	if err := n.Apply(t.Context(), clash.Attachment); !errors.Is(err, chain.ErrInvalid) {
		t.Errorf("a second member of one name: %v", err)
	}

	// The file has changed since: the chain is rebuilt from the store.
	if err := os.WriteFile(copied, []byte("something else"), 0o600); err != nil {
		t.Fatal(err)
	}
	second.Remove(t, n)
	c := p.Chain(t, n, config.PodSide)
	if names := nodetest.Names(c.Members); names != "mine" || len(c.Owners) != 1 {
		t.Errorf("members %q of %d owners, want mine of one", names, len(c.Owners))
	}
	p.Send(t, n, 2)
	p.WantRows(t, n, []chain.Count{{Member: "mine", Verdict: chain.VerdictDrop, Packets: 2}})
	first.Remove(t, n)
}

func TestFailedApplyLeavesNothing(t *testing.T) {
	n := node.Default()
	good := nodetest.At(10, "count")
	for _, tt := range []struct {
		name   string
		change func(t *testing.T, p *nodetest.Pod)
		want   error
	}{
		{"host side busy", func(t *testing.T, p *nodetest.Pod) {
			p.Occupy(t, config.HostSide)
			p.Programs = []config.Program{good, nodetest.OnHost(good)}
		}, netdev.ErrBusy},
		{"pod side busy", func(t *testing.T, p *nodetest.Pod) {
			p.Occupy(t, config.PodSide)
			p.Programs = []config.Program{good}
		}, netdev.ErrBusy},
		{"no such interface", func(t *testing.T, p *nodetest.Pod) {
			p.Ifname, p.Programs = "eth7", []config.Program{good}
		}, netdev.ErrNoInterface},
		{"no such namespace", func(t *testing.T, p *nodetest.Pod) {
			p.NetNS, p.Programs = "/run/netns/gone", []config.Program{good}
		}, netdev.ErrNetNSGone},
		{"time is up", func(t *testing.T, p *nodetest.Pod) { p.Programs = []config.Program{good} }, context.Canceled},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := nodetest.NewPod(t, 0)
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

func TestModesOnAJumboInterface(t *testing.T) {
	n := node.Default()
	object := nodetest.Objects(t, "plain.o")
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
			p := nodetest.NewPod(t, 9000)
			p.Mode, p.Programs = tt.mode, []config.Program{{Name: "pass", Object: tt.object}}
			if err := n.Apply(t.Context(), p.Attachment); !errors.Is(err, tt.err) {
				t.Fatalf("got %v, want %v", err, tt.err)
			}
			if tt.err != nil {
				return
			}
			c := p.Chain(t, n, config.PodSide)
			if c.Mode != tt.want || p.Attached(t, config.PodSide).Mode != tt.want {
				t.Errorf("mode %s, want %s", c.Mode, tt.want)
			}
			if wantWhy := tt.mode == chain.ModeAuto && tt.want == chain.ModeGeneric; (c.ModeReason != "") != wantWhy {
				t.Errorf("reason for the mode: %q", c.ModeReason)
			}
			p.Remove(t, n)
		})
	}
}

// An attachment's chains follow its programs from side to side, and go with the last
// of them.
func TestProgramsMoveBetweenSides(t *testing.T) {
	testenv.NoLeaks(t)
	n, p := node.Default(), nodetest.NewPod(t, 0)
	pass := nodetest.At(10, "pass")
	for _, list := range [][]config.Program{
		{pass}, {pass, nodetest.OnHost(pass)}, {nodetest.OnHost(pass)}, {pass}, {}, {pass}, {},
	} {
		p.Apply(t, n, list...)
		want := make(map[config.Side]bool)
		for _, program := range list {
			if program.Side == nil {
				want[config.PodSide] = true
			} else {
				want[*program.Side] = true
			}
		}
		for _, side := range []config.Side{config.PodSide, config.HostSide} {
			if got := p.Attached(t, side).ProgramID != 0; got != want[side] {
				t.Errorf("with %d programs: a chain on side %s: %t, want %t", len(list), side, got, want[side])
			}
		}
		p.Check(t, n)
	}
}
