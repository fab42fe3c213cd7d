// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"encoding/json"
	"os"
	"testing"
	"time"

	"github.com/xdp-chain/xdp-chain/internal/config"
	"github.com/xdp-chain/xdp-chain/internal/crashtest"
	"github.com/xdp-chain/xdp-chain/internal/node/resolve"
	"github.com/xdp-chain/xdp-chain/internal/testenv"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
	"github.com/xdp-chain/xdp-chain/pkg/netdev"
)

// bodies are what processes do that are killed on the way.
var bodies = map[string]func() error{
	"apply": func() error {
		return forAttachment(func(ctx context.Context, n *Node, a resolve.Attachment) error { return n.Apply(ctx, a) })
	},
	"remove": func() error {
		return forAttachment(func(ctx context.Context, n *Node, a resolve.Attachment) error {
			return n.Remove(ctx, a.Network, a.ContainerID, a.Ifname)
		})
	},
	"gc": func() error {
		return forAttachment(func(ctx context.Context, n *Node, a resolve.Attachment) error { return n.GC(ctx, a.Network, nil, true) })
	},
	"sweep": func() error {
		return forAttachment(func(ctx context.Context, n *Node, _ resolve.Attachment) error { return n.Sweep(ctx, 16) })
	},
	"hand": byHandInChild(oneAfterAnother),
	"many": byHandInChild(loadAndUnload),
}

func forAttachment(do func(context.Context, *Node, resolve.Attachment) error) error {
	var a resolve.Attachment
	if err := json.Unmarshal([]byte(os.Getenv("ATTACHMENT")), &a); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return do(ctx, Default(), a)
}

// with is the attachment with other programs, for a child's environment.
func (p *pod) with(t *testing.T, list []config.Program) []string {
	t.Helper()
	a := p.Attachment
	a.Programs = list
	text, err := json.Marshal(a)
	if err != nil {
		t.Fatal(err)
	}
	return []string{"ATTACHMENT=" + string(text)}
}

// finish is what comes after a process that was killed.
type finish string

const (
	withDEL   finish = "DEL"
	withADD   finish = "ADD"
	withGC    finish = "GC"
	withSweep finish = "sweep"
)

// eachKill runs a body that is killed before each of its changes. The finishes take
// turns: changes in a row leave much the same, and those that do not come again in
// the other tests. At the end nothing may be left. Where tests are to be short it is
// killed before some of the changes.
func eachKill(t *testing.T, body string, env []string, prepare func(t *testing.T), check func(t *testing.T, then finish), finishes ...finish) {
	t.Helper()
	kills := 0
	crashtest.AtSome(t, 30, body, env, func(t *testing.T) {
		testenv.NoLeaks(t)
		prepare(t)
	}, func(t *testing.T) {
		then := finishes[kills%len(finishes)]
		kills++
		t.Logf("then %s", then)
		check(t, then)
	})
}

// twoSides is a chain of one member on each side.
func twoSides() []config.Program {
	return append(programs("pass"), onHost(programs("pass")[0]))
}

// sharing is a chain whose member shares a map with the network.
func sharing(others ...string) []config.Program {
	list := programs(append([]string{"count"}, others...)...)
	list[0].Maps = map[string]config.MapSettings{"traffic": {Scope: config.ScopeNode}}
	return list
}

func TestKilledInTheFirstADD(t *testing.T) {
	n := Default()
	for _, tt := range []struct {
		name     string
		way      way
		mode     chain.Mode // generic is quicker to be had
		list     []config.Program
		finishes []finish
	}{
		{"link on both sides", ways[0], chain.ModeGeneric, twoSides(), []finish{withDEL, withADD}},
		{"netlink with a map of the network", ways[1], chain.ModeAuto, sharing(), []finish{withADD, withDEL}},
		{"libxdp", ways[2], chain.ModeGeneric, programs("count"), []finish{withADD, withDEL}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := tt.way.pod(t)
			p.Mode = tt.mode
			eachKill(t, "apply", p.with(t, tt.list), func(*testing.T) {}, func(t *testing.T, then finish) {
				if then == withADD {
					p.apply(t, n, tt.list...)
					p.check(t, n)
					p.send(t, n, 1)
				}
				p.remove(t, n)
			}, tt.finishes...)
		})
	}
}

func (p *pod) check(t *testing.T, n *Node) {
	t.Helper()
	if err := n.Check(t.Context(), p.Attachment); err != nil {
		t.Error(err)
	}
}

func TestKilledInAChange(t *testing.T) {
	n := Default()
	for _, tt := range []struct {
		name      string
		way       way
		mode      chain.Mode
		old, next []config.Program
		finishes  []finish
	}{
		{"link", ways[0], chain.ModeGeneric, programs("count", "pass"), programs("count", "drop"), []finish{withDEL, withADD}},
		{"netlink with a map of the network", ways[1], chain.ModeAuto, programs("pass"), sharing("drop"), []finish{withADD, withDEL}},
		{"libxdp", ways[2], chain.ModeGeneric, programs("count", "pass"), programs("count", "drop"), []finish{withADD, withDEL}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := tt.way.pod(t)
			p.Mode = tt.mode
			var before netdev.Attached
			eachKill(t, "apply", p.with(t, tt.next), func(t *testing.T) {
				p.apply(t, n, tt.old...)
				p.send(t, n, 2)
				before = p.attached(t, config.PodSide)
			}, func(t *testing.T, then finish) {
				after := p.attached(t, config.PodSide)
				if after.ProgramID == 0 {
					t.Error("the interface carries no chain")
				}
				p.counts(t, n, 2)
				testenv.Send(t, "", p.host, frame)
				if then == withADD {
					// The old chain or the new one, whole.
					p.Programs = tt.old
					if after.ProgramID != before.ProgramID {
						p.Programs = tt.next
					}
					p.check(t, n)
					p.counts(t, n, 3)
					p.apply(t, n, tt.next...)
					p.check(t, n)
					p.counts(t, n, 3)
				}
				p.remove(t, n)
			}, tt.finishes...)
		})
	}
}

// counts waits until the chain's rows add up to what entered it.
func (p *pod) counts(t *testing.T, n *Node, want uint64) {
	t.Helper()
	got := p.entered(t, n)
	for deadline := time.Now().Add(time.Second); got < want && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
		got = p.entered(t, n)
	}
	if got != want {
		t.Errorf("the chain counts %d packets, want %d", got, want)
	}
}

func TestKilledInDEL(t *testing.T) {
	n := Default()
	for _, tt := range []struct {
		name     string
		way      way
		mode     chain.Mode
		list     []config.Program
		finishes []finish
	}{
		{"link on both sides", ways[0], chain.ModeGeneric, twoSides(), []finish{withDEL, withADD}},
		{"netlink with a map of the network", ways[1], chain.ModeAuto, sharing(), []finish{withADD, withDEL}},
		{"libxdp", ways[2], chain.ModeGeneric, programs("count"), []finish{withADD, withDEL}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := tt.way.pod(t)
			p.Mode = tt.mode
			eachKill(t, "remove", p.with(t, nil), func(t *testing.T) {
				p.apply(t, n, tt.list...)
			}, func(t *testing.T, then finish) {
				if then == withADD {
					p.apply(t, n, tt.list...)
					p.check(t, n)
					p.send(t, n, 1)
				}
				p.remove(t, n)
			}, tt.finishes...)
		})
	}
}

func TestKilledInTheDELOfOneOfTwo(t *testing.T) {
	n := Default()
	stays := newPod(t, 0)
	stays.Mode = chain.ModeGeneric
	leaves := *stays
	leaves.Network = "other"
	eachKill(t, "remove", leaves.with(t, nil), func(t *testing.T) {
		stays.apply(t, n, sharing()...)
		leaves.apply(t, n, programs("pass")...)
		stays.send(t, n, 2)
	}, func(t *testing.T, then finish) {
		if stays.attached(t, config.PodSide).ProgramID == 0 {
			t.Error("the interface carries no chain")
		}
		stays.counts(t, n, 2)
		members := "count"
		if then == withADD {
			leaves.apply(t, n, programs("pass")...)
			leaves.check(t, n)
			members = "count pass"
		} else {
			leaves.remove(t, n)
		}
		stays.check(t, n)
		if got := memberList(stays.chain(t, n, config.PodSide)); got != members {
			t.Errorf("members %q, want %q", got, members)
		}
		stays.send(t, n, 1)
		stays.counts(t, n, 3)
		stays.remove(t, n)
		leaves.remove(t, n)
	}, withDEL, withADD)
}

func TestKilledInGC(t *testing.T) {
	n := Default()
	p := newPod(t, 0)
	p.Mode = chain.ModeGeneric
	eachKill(t, "gc", p.with(t, nil), func(t *testing.T) {
		p.apply(t, n, sharing()...)
	}, func(t *testing.T, then finish) {
		if then == withGC {
			if err := n.GC(t.Context(), p.Network, nil, true); err != nil {
				t.Error(err)
			}
			if a := p.attached(t, config.PodSide); a.ProgramID != 0 {
				t.Errorf("the interface carries %s", a)
			}
		} else {
			p.apply(t, n, sharing()...)
			p.check(t, n)
		}
		p.remove(t, n)
	}, withGC, withADD)
}

func TestKilledInASweepOfADeadChain(t *testing.T) {
	n := Default()
	var p *pod
	eachKill(t, "sweep", newPod(t, 0).with(t, nil), func(t *testing.T) {
		p = newPod(t, 0)
		p.Mode = chain.ModeGeneric
		p.apply(t, n, sharing()...)
		p.deleteVeth(t)
	}, func(t *testing.T, then finish) {
		if then == withSweep {
			if err := n.Sweep(t.Context(), 16); err != nil {
				t.Error(err)
			}
			if keys, err := n.Keys(); len(keys) != 0 || err != nil {
				t.Errorf("left: %v, %v", keys, err)
			}
		}
		p.remove(t, n)
	}, withSweep, withDEL)
}
