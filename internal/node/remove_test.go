// SPDX-License-Identifier: Apache-2.0

package node_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/xdp-chain/xdp-chain/internal/config"
	"github.com/xdp-chain/xdp-chain/internal/node"
	"github.com/xdp-chain/xdp-chain/internal/node/inspect"
	"github.com/xdp-chain/xdp-chain/internal/node/nodetest"
	"github.com/xdp-chain/xdp-chain/internal/testenv"
)

func bothSides() []config.Program {
	return append(nodetest.Programs("count"), nodetest.OnHost(nodetest.At(10, "count")))
}

func TestWhatIsGoneIsRemoved(t *testing.T) {
	n := node.Default()
	for i, tt := range []struct {
		name   string
		remove func(t *testing.T, p *nodetest.Pod) error
	}{
		{"DEL", func(t *testing.T, p *nodetest.Pod) error {
			return n.Remove(t.Context(), p.Network, p.ContainerID, p.Ifname)
		}},
		{"sweep", func(t *testing.T, p *nodetest.Pod) error { return n.Sweep(t.Context(), 16) }},
		{"GC that does not know", func(t *testing.T, p *nodetest.Pod) error { return n.GC(t.Context(), p.Network, nil, false) }},
		{"GC without the pod", func(t *testing.T, p *nodetest.Pod) error {
			return n.GC(t.Context(), p.Network, []node.Ref{{ContainerID: "another", Ifname: "eth0"}}, true)
		}},
	} {
		for j, w := range nodetest.Ways {
			t.Run(tt.name+" "+w.String(), func(t *testing.T) {
				testenv.ShardByKernel(t, i+j)
				testenv.NoLeaks(t)
				p := w.Pod(t)
				p.Apply(t, n, bothSides()...)
				testenv.RemoveNetNS(t, p.NetNS)
				// The kernel takes the interfaces of a namespace down in its own time.
				deadline := time.Now().Add(10 * time.Second)
				for {
					if err := tt.remove(t, p); err != nil {
						t.Fatal(err)
					}
					list, err := inspect.List(n.Node)
					if len(list) == 0 && err == nil {
						break
					}
					if time.Now().After(deadline) {
						t.Fatalf("left: %v, %v", list, err)
					}
					time.Sleep(10 * time.Millisecond)
				}
			})
		}
	}
}

func TestWhatIsAliveStays(t *testing.T) {
	n := node.Default()
	for _, w := range nodetest.Ways {
		t.Run(w.String(), func(t *testing.T) {
			testenv.NoLeaks(t)
			p := w.Pod(t)
			p.Apply(t, n, bothSides()...)
			for name, keep := range map[string]func() error{
				"sweep":                 func() error { return n.Sweep(t.Context(), 16) },
				"GC that does not know": func() error { return n.GC(t.Context(), p.Network, nil, false) },
				"GC of another network": func() error { return n.GC(t.Context(), "other", nil, true) },
				"GC with the pod": func() error {
					return n.GC(t.Context(), p.Network, []node.Ref{{ContainerID: p.ContainerID, Ifname: p.Ifname}}, true)
				},
			} {
				if err := keep(); err != nil {
					t.Errorf("%s: %v", name, err)
				}
				if err := n.Check(t.Context(), p.Attachment); err != nil {
					t.Errorf("%s: %v", name, err)
				}
			}
			if err := n.GC(t.Context(), p.Network, nil, true); err != nil {
				t.Error(err)
			}
			p.WantNothing(t, config.PodSide)
		})
	}
}

func TestBrokenFilesKeepNobodyFromLeaving(t *testing.T) {
	n := node.Default()
	for _, tt := range []struct{ name, pattern string }{
		{"record", "chains/*.json"},
		{"index", "attachments/*/*.json"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := nodetest.NewPod(t, 0)
			p.Apply(t, n, bothSides()...)
			files, err := filepath.Glob(filepath.Join(n.Records.Root, tt.pattern))
			if err != nil || len(files) == 0 {
				t.Fatalf("%v, %v", files, err)
			}
			for _, f := range files {
				if err := os.WriteFile(f, []byte("{"), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			p.Remove(t, n)
			p.WantNothing(t, config.PodSide, config.HostSide)
			if keys, err := n.Keys(); len(keys) != 0 || err != nil {
				t.Errorf("left: %v, %v", keys, err)
			}
			asides, err := os.ReadDir(filepath.Join(n.Records.Root, "broken"))
			if err != nil || len(asides) != len(files) {
				t.Errorf("%d files set aside, want %d (%v)", len(asides), len(files), err)
			}
			nodetest.ForgetBroken(t, n)
		})
	}
}
