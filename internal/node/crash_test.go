// SPDX-License-Identifier: Apache-2.0

package node_test

import (
	"testing"

	"github.com/xdp-chain/xdp-chain/internal/config"
	"github.com/xdp-chain/xdp-chain/internal/node"
	"github.com/xdp-chain/xdp-chain/internal/node/nodetest"
	"github.com/xdp-chain/xdp-chain/internal/testenv"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
	"github.com/xdp-chain/xdp-chain/pkg/netdev"
)

// twoSides is a chain of one member on each side.
func twoSides() []config.Program {
	return append(nodetest.Programs("pass"), nodetest.OnHost(nodetest.At(10, "pass")))
}

func TestKilledInTheFirstADD(t *testing.T) {
	killed(t, "apply", func(*testing.T, *nodetest.Pod, []config.Program) {})
}

func TestKilledInDEL(t *testing.T) {
	n := node.Default()
	killed(t, "remove", func(t *testing.T, p *nodetest.Pod, list []config.Program) { p.Apply(t, n, list...) })
}

// killed has an ADD or a DEL killed, and ends the attachment, some of the times after an ADD that
// is whole.
func killed(t *testing.T, body string, prepare func(*testing.T, *nodetest.Pod, []config.Program)) {
	n := node.Default()
	for _, tt := range []struct {
		name     string
		way      nodetest.Way
		mode     chain.Mode // generic is quicker to be had
		list     []config.Program
		finishes []nodetest.Finish
	}{
		{"link on both sides", nodetest.Ways[0], chain.ModeGeneric, twoSides(), []nodetest.Finish{nodetest.ThenDEL, nodetest.ThenADD}},
		{"netlink with a map of the network", nodetest.Ways[1], chain.ModeAuto, nodetest.Sharing(), []nodetest.Finish{nodetest.ThenADD, nodetest.ThenDEL}},
		{"libxdp", nodetest.Ways[2], chain.ModeGeneric, nodetest.Programs("count"), []nodetest.Finish{nodetest.ThenADD, nodetest.ThenDEL}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := tt.way.Pod(t)
			p.Mode = tt.mode
			nodetest.EachKill(t, body, p.With(t, tt.list), func(t *testing.T) { prepare(t, p, tt.list) }, func(t *testing.T, then nodetest.Finish) {
				if then == nodetest.ThenADD {
					p.Apply(t, n, tt.list...)
					p.Check(t, n)
					p.Send(t, n, 1)
				}
				p.Remove(t, n)
			}, tt.finishes...)
		})
	}
}

func TestKilledInAChange(t *testing.T) {
	n := node.Default()
	for _, tt := range []struct {
		name      string
		way       nodetest.Way
		mode      chain.Mode
		old, next []config.Program
		finishes  []nodetest.Finish
	}{
		{"link", nodetest.Ways[0], chain.ModeGeneric, nodetest.Programs("count", "pass"), nodetest.Programs("count", "drop"), []nodetest.Finish{nodetest.ThenDEL, nodetest.ThenADD}},
		{"netlink with a map of the network", nodetest.Ways[1], chain.ModeAuto, nodetest.Programs("pass"), nodetest.Sharing("drop"), []nodetest.Finish{nodetest.ThenADD, nodetest.ThenDEL}},
		{"libxdp", nodetest.Ways[2], chain.ModeGeneric, nodetest.Programs("count", "pass"), nodetest.Programs("count", "drop"), []nodetest.Finish{nodetest.ThenADD, nodetest.ThenDEL}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := tt.way.Pod(t)
			p.Mode = tt.mode
			var before netdev.Attached
			nodetest.EachKill(t, "apply", p.With(t, tt.next), func(t *testing.T) {
				p.Apply(t, n, tt.old...)
				p.Send(t, n, 2)
				before = p.Attached(t, config.PodSide)
			}, func(t *testing.T, then nodetest.Finish) {
				after := p.Attached(t, config.PodSide)
				if after.ProgramID == 0 {
					t.Error("the interface carries no chain")
				}
				p.WantEntered(t, n, 2)
				testenv.Send(t, "", p.Host, nodetest.Frame)
				if then == nodetest.ThenADD {
					// The old chain or the new one, whole.
					p.Programs = tt.old
					if after.ProgramID != before.ProgramID {
						p.Programs = tt.next
					}
					p.Check(t, n)
					p.WantEntered(t, n, 3)
					p.Apply(t, n, tt.next...)
					p.Check(t, n)
					p.WantEntered(t, n, 3)
				}
				p.Remove(t, n)
			}, tt.finishes...)
		})
	}
}

func TestKilledInTheDELOfOneOfTwo(t *testing.T) {
	n := node.Default()
	stays := nodetest.NewPod(t, 0)
	stays.Mode = chain.ModeGeneric
	leaves := *stays
	leaves.Network = "other"
	nodetest.EachKill(t, "remove", leaves.With(t, nil), func(t *testing.T) {
		stays.Apply(t, n, nodetest.Sharing()...)
		leaves.Apply(t, n, nodetest.Programs("pass")...)
		stays.Send(t, n, 2)
	}, func(t *testing.T, then nodetest.Finish) {
		if stays.Attached(t, config.PodSide).ProgramID == 0 {
			t.Error("the interface carries no chain")
		}
		stays.WantEntered(t, n, 2)
		members := "count"
		if then == nodetest.ThenADD {
			leaves.Apply(t, n, nodetest.Programs("pass")...)
			leaves.Check(t, n)
			members = "count pass"
		} else {
			leaves.Remove(t, n)
		}
		stays.Check(t, n)
		stays.WantMembers(t, n, members)
		stays.Send(t, n, 1)
		stays.WantEntered(t, n, 3)
		stays.Remove(t, n)
		leaves.Remove(t, n)
	}, nodetest.ThenDEL, nodetest.ThenADD)
}

func TestKilledInGC(t *testing.T) {
	n := node.Default()
	p := nodetest.NewPod(t, 0)
	p.Mode = chain.ModeGeneric
	nodetest.EachKill(t, "gc", p.With(t, nil), func(t *testing.T) {
		p.Apply(t, n, nodetest.Sharing()...)
	}, func(t *testing.T, then nodetest.Finish) {
		if then == nodetest.ThenGC {
			if err := n.GC(t.Context(), p.Network, nil, true); err != nil {
				t.Error(err)
			}
			p.WantNothing(t, config.PodSide)
		} else {
			p.Apply(t, n, nodetest.Sharing()...)
			p.Check(t, n)
		}
		p.Remove(t, n)
	}, nodetest.ThenGC, nodetest.ThenADD)
}

func TestKilledInASweepOfADeadChain(t *testing.T) {
	n := node.Default()
	var p *nodetest.Pod
	nodetest.EachKill(t, "sweep", nodetest.NewPod(t, 0).With(t, nil), func(t *testing.T) {
		p = nodetest.NewPod(t, 0)
		p.Mode = chain.ModeGeneric
		p.Apply(t, n, nodetest.Sharing()...)
		p.DeleteVeth(t)
	}, func(t *testing.T, then nodetest.Finish) {
		if then == nodetest.ThenSweep {
			nodetest.Sweep(t, n)
			if keys, err := n.Keys(); len(keys) != 0 || err != nil {
				t.Errorf("left: %v, %v", keys, err)
			}
		}
		p.Remove(t, n)
	}, nodetest.ThenSweep, nodetest.ThenDEL)
}
