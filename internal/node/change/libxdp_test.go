// SPDX-License-Identifier: Apache-2.0

package change_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/google/go-cmp/cmp"

	"github.com/xdp-chain/xdp-chain/internal/config"
	"github.com/xdp-chain/xdp-chain/internal/node"
	"github.com/xdp-chain/xdp-chain/internal/node/inspect"
	"github.com/xdp-chain/xdp-chain/internal/node/nodetest"
	"github.com/xdp-chain/xdp-chain/internal/testenv"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
	"github.com/xdp-chain/xdp-chain/pkg/dispatcher"
	"github.com/xdp-chain/xdp-chain/pkg/dispatcher/libxdp"
	"github.com/xdp-chain/xdp-chain/pkg/netdev"
	"github.com/xdp-chain/xdp-chain/pkg/pin"
)

func TestLibxdpApplyAndRemove(t *testing.T) {
	testenv.NeedFreplace(t)
	testenv.NoLeaks(t)
	n, p := node.Default(), nodetest.NewLibxdpPod(t)
	p.Apply(t, n, append(nodetest.Programs("count", "pass", "drop"), nodetest.OnHost(nodetest.At(10, "count")))...)
	p.Check(t, n)
	c := p.Chain(t, n, config.PodSide)
	if c.Dispatcher != chain.DispatcherLibxdp || c.Attach != chain.AttachNetlink || c.DispatcherReason != "asked for" || c.LibxdpVersion != chain.LibxdpV2 {
		t.Errorf("got %+v", c)
	}
	p.Shows(t, n, nodetest.Ours(0, "count", 10), nodetest.Ours(1, "pass", 20), nodetest.Ours(2, "drop", 30))
	p.Send(t, n, 7)

	stats, err := inspect.Stats(n.Node)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range stats {
		if len(s.Rows) != 0 || !strings.Contains(s.Reason, "no room for counters") {
			t.Errorf("got %+v", s)
		}
	}
	// libxdp's own names, and nothing else beside them.
	id := p.Attached(t, config.PodSide).ProgramID
	folder := filepath.Join(p.Tool(t, n).Tree.BPFFS(), "xdp", pin.Dispatch{Ifindex: c.Ifindex, ID: id}.String())
	if diff := cmp.Diff([]string{"prog0-link", "prog0-prog", "prog1-link", "prog1-prog", "prog2-link", "prog2-prog"}, nodetest.Files(t, folder)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"xdp"}, nodetest.Files(t, p.Tool(t, n).Tree.BPFFS())); diff != "" {
		t.Error(diff)
	}
	generation := c.Generation
	p.Apply(t, n, p.Programs...)
	if again := p.Chain(t, n, config.PodSide); again.Generation != generation {
		t.Errorf("the same ADD made generation %d of %d", again.Generation, generation)
	}
	p.Remove(t, n)
	p.Remove(t, n)
}

// A member that stays is the same program with the same maps.
func TestLibxdpKeepsProgramsOverAChange(t *testing.T) {
	testenv.NeedFreplace(t)
	testenv.NoLeaks(t)
	n, p := node.Default(), nodetest.NewLibxdpPod(t)
	p.Apply(t, n, nodetest.Programs("count", "pass")...)
	before := p.Chain(t, n, config.PodSide)
	p.Send(t, n, 3)
	for _, list := range [][]config.Program{nodetest.Programs("count"), nodetest.Programs("count", "drop"), nodetest.Programs("count", "drop", "pass", "acl")} {
		p.Apply(t, n, list...)
		p.Check(t, n)
		if now := p.Chain(t, n, config.PodSide); now.Members[0].ProgramID != before.Members[0].ProgramID {
			t.Errorf("count was program %d and is %d", before.Members[0].ProgramID, now.Members[0].ProgramID)
		}
	}
	p.Send(t, n, 2)
	if got := p.CountedIPv4(t, n); got != 5 {
		t.Errorf("count has counted %d packets of 5", got)
	}
	p.Remove(t, n)
}

// Where xdp-loader was first, auto joins, and leaves what is not ours.
func TestLibxdpJoins(t *testing.T) {
	testenv.NeedFreplace(t)
	n := node.Default()
	for name, tree := range map[string]func(p *nodetest.Pod) pin.Libxdp{
		"pinned in the namespace's tree": func(p *nodetest.Pod) pin.Libxdp { return p.Tool(t, n).Tree },
		"pinned in the host's tree":      func(*nodetest.Pod) pin.Libxdp { return n.BPFFS.HostLibxdp() },
	} {
		t.Run(name, func(t *testing.T) {
			testenv.NoLeaks(t)
			p := nodetest.NewPod(t, 0)
			x := nodetest.Tool{Pod: p, Tree: tree(p)}
			x.Change(t, n, nodetest.All, 15, "pass")
			p.Apply(t, n, nodetest.Programs("count", "drop")...)
			p.Check(t, n)
			if c := p.Chain(t, n, config.PodSide); c.Dispatcher != chain.DispatcherLibxdp || !strings.Contains(c.DispatcherReason, "joined") {
				t.Errorf("got %+v", c)
			}
			p.Shows(t, n, nodetest.Ours(0, "count", 10), nodetest.Theirs(1, "pass", 15), nodetest.Ours(2, "drop", 20))
			p.Send(t, n, 3)
			p.Remove(t, n)
			p.Shows(t, n, nodetest.Theirs(0, "pass", 15))
			if a := p.Attached(t, config.PodSide); a.ProgramID == 0 {
				t.Error("nothing is left of libxdp's tools' chain")
			}
			// Once more, in and out, and then the interface goes.
			p.Apply(t, n, nodetest.Programs("count")...)
			p.Remove(t, n)
			p.Vanish(t, n)
		})
	}
}

// What libxdp's tools add to our chain and take off it is theirs; what they take off of
// ours is missed.
func TestLibxdpToolsChangeOurChain(t *testing.T) {
	testenv.NeedFreplace(t)
	n := node.Default()
	for _, tt := range []struct {
		name   string
		change func(t *testing.T, p *nodetest.Pod, x nodetest.Tool)
		checks string // what CHECK says
		after  func(t *testing.T, p *nodetest.Pod, x nodetest.Tool)
	}{
		{"add one", func(t *testing.T, p *nodetest.Pod, x nodetest.Tool) { x.Change(t, n, nodetest.All, 15, "pass") }, "", func(t *testing.T, p *nodetest.Pod, x nodetest.Tool) {
			p.Shows(t, n, nodetest.Ours(0, "count", 10), nodetest.Theirs(1, "pass", 15), nodetest.Ours(2, "drop", 20))
			p.Apply(t, n, nodetest.Programs("count", "drop", "acl")...)
			p.Shows(t, n, nodetest.Ours(0, "count", 10), nodetest.Theirs(1, "pass", 15), nodetest.Ours(2, "drop", 20), nodetest.Ours(3, "acl", 30))
			p.Check(t, n)
			p.Remove(t, n)
			p.Shows(t, n, nodetest.Theirs(0, "pass", 15))
			x.Change(t, n, nodetest.None, 0)
			nodetest.Sweep(t, n)
			if c := p.Chain(t, n, config.PodSide); c != nil {
				t.Errorf("after all have left there still is %+v", c)
			}
		}},
		{"take one of ours off", func(t *testing.T, p *nodetest.Pod, x nodetest.Tool) {
			x.Change(t, n, nodetest.AllBut("drop"), 0)
		}, `member "drop" (program `, func(t *testing.T, p *nodetest.Pod, x nodetest.Tool) {
			p.Apply(t, n, nodetest.Programs("count", "drop")...)
			p.Check(t, n)
		}},
		{"take all off", func(t *testing.T, p *nodetest.Pod, x nodetest.Tool) {
			x.Change(t, n, nodetest.None, 0)
		}, "is gone: the interface carries no XDP program", func(t *testing.T, p *nodetest.Pod, x nodetest.Tool) {
			p.Apply(t, n, nodetest.Programs("count", "drop")...)
			p.Check(t, n)
			x.Change(t, n, nodetest.None, 0)
		}},
		{"clean up our pins", func(t *testing.T, p *nodetest.Pod, x nodetest.Tool) {
			if err := os.RemoveAll(filepath.Join(x.Tree.BPFFS(), "xdp")); err != nil {
				t.Fatal(err)
			}
			p.Send(t, n, 1)
		}, "the pins of libxdp's dispatcher", func(t *testing.T, p *nodetest.Pod, x nodetest.Tool) {
			id := p.Chain(t, n, config.PodSide).Members[0].ProgramID
			p.Apply(t, n, nodetest.Programs("count", "drop")...)
			p.Check(t, n)
			if now := p.Chain(t, n, config.PodSide).Members[0].ProgramID; now != id {
				t.Errorf("count was program %d and is %d", id, now)
			}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			testenv.NoLeaks(t)
			p := nodetest.NewLibxdpPod(t)
			p.Apply(t, n, nodetest.Programs("count", "drop")...)
			x := p.Tool(t, n)
			tt.change(t, p, x)
			err := n.Check(t.Context(), p.Attachment)
			if tt.checks == "" && err != nil || tt.checks != "" && (err == nil || !strings.Contains(err.Error(), tt.checks)) {
				t.Errorf("CHECK says %v, want %q", err, tt.checks)
			}
			tt.after(t, p, x)
			p.Remove(t, n)
		})
	}
}

func TestLibxdpRefusals(t *testing.T) {
	testenv.NeedFreplace(t)
	n := node.Default()
	eleven := make([]config.Program, 11)
	for i := range eleven {
		eleven[i] = config.Program{Name: "m" + string(rune('a'+i)), Object: nodetest.Objects(t, "plain.o")}
	}
	for _, tt := range []struct {
		name   string
		before func(t *testing.T, p *nodetest.Pod)
		ask    func(p *nodetest.Pod)
		want   error
		words  string
	}{
		{"eleven", nil, func(p *nodetest.Pod) { p.Programs = eleven }, chain.ErrTooManyMembers, "the chain has 11, its dispatcher calls at most 10"},
		{
			"eleven with libxdp's", func(t *testing.T, p *nodetest.Pod) { p.Tool(t, n).Change(t, n, nodetest.All, 5, "pass") }, func(p *nodetest.Pod) { p.Programs = eleven[:10] },
			chain.ErrTooManyMembers, "the chain would have 11, of them 1 that libxdp's tools put there",
		},
		{
			"linked where libxdp's is", func(t *testing.T, p *nodetest.Pod) { p.Tool(t, n).Change(t, n, nodetest.All, 5, "pass") }, func(p *nodetest.Pod) { p.Dispatcher = chain.DispatcherLinked },
			netdev.ErrBusy, `use dispatcher "auto" or "libxdp" to join it`,
		},
		{
			"link where libxdp's is", func(t *testing.T, p *nodetest.Pod) { p.Tool(t, n).Change(t, n, nodetest.All, 5, "pass") }, func(p *nodetest.Pod) { p.Dispatcher, p.Attach = chain.DispatcherAuto, chain.AttachLink },
			netdev.ErrUnsupported, `use attach "auto" to join it`,
		},
		{
			"other version", func(t *testing.T, p *nodetest.Pod) { p.Tool(t, n).Change(t, n, nodetest.All, 5, "pass") }, func(p *nodetest.Pod) { p.LibxdpVersion = chain.LibxdpV3 },
			netdev.ErrUnsupported, "version 3 is asked for",
		},
		{
			"generic where native is", func(t *testing.T, p *nodetest.Pod) { p.Tool(t, n).Change(t, n, nodetest.All, 5, "pass") }, func(p *nodetest.Pod) { p.Mode = chain.ModeGeneric },
			netdev.ErrUnsupported, "in mode native",
		},
		{"something else is there", func(t *testing.T, p *nodetest.Pod) { p.Occupy(t, config.PodSide) }, func(*nodetest.Pod) {}, netdev.ErrBusy, "carries XDP program"},
		{"a link", nil, func(p *nodetest.Pod) { p.Attach = chain.AttachLink }, netdev.ErrUnsupported, `use attach "auto"`},
		{"a member without BTF", nil, func(p *nodetest.Pod) {
			p.Programs = []config.Program{{Name: "bare", Object: nodetest.Objects(t, "nobtf.o")}}
		}, dispatcher.ErrNoBTF, `member "bare"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := nodetest.NewLibxdpPod(t)
			if tt.before != nil {
				tt.before(t, p)
			}
			carried := p.Attached(t, config.PodSide)
			p.Programs = nodetest.Programs("count")
			tt.ask(p)
			err := n.Apply(t.Context(), p.Attachment)
			if !errors.Is(err, tt.want) || !strings.Contains(err.Error(), tt.words) {
				t.Errorf("got %v, want %v with %q", err, tt.want, tt.words)
			}
			if now := p.Attached(t, config.PodSide); now != carried {
				t.Errorf("the interface carried %v and carries %v", carried, now)
			}
			if c := p.Chain(t, n, config.PodSide); c != nil {
				t.Errorf("left: %+v", c)
			}
		})
	}
}

func TestLibxdpVersion3StaysVersion3(t *testing.T) {
	testenv.NeedFreplace(t)
	testenv.NoLeaks(t)
	n, p := node.Default(), nodetest.NewLibxdpPod(t)
	p.LibxdpVersion = chain.LibxdpV3
	p.Apply(t, n, nodetest.Programs("count")...)
	second := *p
	second.Network, second.LibxdpVersion, second.Dispatcher = "other", chain.LibxdpVersionAuto, chain.DispatcherAuto
	second.Apply(t, n, nodetest.Programs("pass")...)
	if c := p.Chain(t, n, config.PodSide); c.LibxdpVersion != chain.LibxdpV3 || len(c.Members) != 2 {
		t.Errorf("got %+v", c)
	}
	p.Remove(t, n)
	if c := p.Chain(t, n, config.PodSide); c.LibxdpVersion != chain.LibxdpV3 || len(c.Members) != 1 {
		t.Errorf("got %+v", c)
	}
	second.Remove(t, n)
}

// Tools and attachments come and go at the same time. Nobody's member is lost.
func TestLibxdpCrowd(t *testing.T) {
	rounds := 20
	if testing.Short() {
		rounds = 8
	}
	testenv.NeedFreplace(t)
	testenv.NoLeaks(t)
	n, p := node.Default(), nodetest.NewLibxdpPod(t)
	p.Apply(t, n, nodetest.Programs("count")...)
	x := p.Tool(t, n)
	done := make(chan error)
	go func() {
		defer close(done)
		for range rounds {
			for _, change := range []func() error{
				func() error { return x.Try(t, n, nodetest.All, 15, "pass") },
				func() error { return x.Try(t, n, nodetest.AllBut("pass"), 0) },
			} {
				err := change()
				for errors.Is(err, netdev.ErrBusy) || errors.Is(err, os.ErrNotExist) {
					err = change()
				}
				if err != nil {
					done <- err
					return
				}
			}
		}
	}()
	second := *p
	second.Network = "other"
	for range rounds {
		second.Apply(t, n, nodetest.Programs("drop")...)
		p.Check(t, n)
		second.Check(t, n)
		second.Remove(t, n)
		p.Check(t, n)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	p.Shows(t, n, nodetest.Ours(0, "count", 10))
	p.Remove(t, n)
}

// Whether members of libxdp's tools take packets of several buffers is kept when ours
// come to them, and with it whether the chain does.
func TestLibxdpKeepsFragsOfOthers(t *testing.T) {
	testenv.NeedFreplace(t)
	n := node.Default()
	frags := func(p *nodetest.Pod) (dispatcherTakes bool, slots []bool) {
		program, err := ebpf.NewProgramFromID(p.Attached(t, config.PodSide).ProgramID)
		if err != nil {
			t.Fatal(err)
		}
		defer program.Close()
		config, err := libxdp.Read(program)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range config.Slots {
			slots = append(slots, s.Frags)
		}
		return config.Frags, slots
	}
	p := nodetest.NewPod(t, 0)
	p.Tool(t, n).Change(t, n, nodetest.All, 5, "pass") // the built-ins take them
	alone, _ := frags(p)
	p.Apply(t, n, nodetest.Programs("count")...)
	together, slots := frags(p)
	if diff := cmp.Diff([]bool{true, true}, slots); diff != "" || together != alone {
		t.Errorf("the dispatcher takes frags: %t alone, %t with ours; slots: %s", alone, together, diff)
	}
	p.Apply(t, n, config.Program{Name: "plain", Object: nodetest.Objects(t, "plain.o")})
	together, slots = frags(p)
	if diff := cmp.Diff([]bool{true, false}, slots); diff != "" || together {
		t.Errorf("with one that takes none the dispatcher takes frags: %t; slots: %s", together, diff)
	}
	p.Remove(t, n)
	if now, _ := frags(p); now != alone {
		t.Errorf("after ours left the dispatcher takes frags: %t, before they came: %t", now, alone)
	}
	p.Vanish(t, n)
}
