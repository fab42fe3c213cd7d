// SPDX-License-Identifier: Apache-2.0

package node

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/xdp-chain/xdp-chain/internal/config"
	"github.com/xdp-chain/xdp-chain/internal/node/inspect"
	"github.com/xdp-chain/xdp-chain/internal/record"
	"github.com/xdp-chain/xdp-chain/internal/testenv"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
)

func bothSides() []config.Program {
	return append(programs("count"), onHost(programs("count")[0]))
}

func TestWhatIsGoneIsRemoved(t *testing.T) {
	n := Default()
	for i, tt := range []struct {
		name   string
		remove func(t *testing.T, p *pod) error
	}{
		{"DEL", func(t *testing.T, p *pod) error {
			return n.Remove(t.Context(), p.Network, p.ContainerID, p.Ifname)
		}},
		{"sweep", func(t *testing.T, p *pod) error { return n.Sweep(t.Context(), 16) }},
		{"GC that does not know", func(t *testing.T, p *pod) error { return n.GC(t.Context(), p.Network, nil, false) }},
		{"GC without the pod", func(t *testing.T, p *pod) error {
			return n.GC(t.Context(), p.Network, []Ref{{"another", "eth0"}}, true)
		}},
	} {
		for j, w := range ways {
			t.Run(tt.name+" "+w.String(), func(t *testing.T) {
				testenv.ShardByKernel(t, i+j)
				testenv.NoLeaks(t)
				p := w.pod(t)
				p.apply(t, n, bothSides()...)
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
	n := Default()
	for _, w := range ways {
		t.Run(w.String(), func(t *testing.T) {
			testenv.NoLeaks(t)
			p := w.pod(t)
			p.apply(t, n, bothSides()...)
			for name, keep := range map[string]func() error{
				"sweep":                 func() error { return n.Sweep(t.Context(), 16) },
				"GC that does not know": func() error { return n.GC(t.Context(), p.Network, nil, false) },
				"GC of another network": func() error { return n.GC(t.Context(), "other", nil, true) },
				"GC with the pod": func() error {
					return n.GC(t.Context(), p.Network, []Ref{{p.ContainerID, p.Ifname}}, true)
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
			if a := p.attached(t, config.PodSide); a.ProgramID != 0 {
				t.Errorf("GC with no valid attachment leaves %s", a)
			}
		})
	}
}

func TestBrokenFilesKeepNobodyFromLeaving(t *testing.T) {
	n := Default()
	for _, tt := range []struct{ name, pattern string }{
		{"record", "chains/*.json"},
		{"index", "attachments/*/*.json"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := newPod(t, 0)
			p.apply(t, n, bothSides()...)
			files, err := filepath.Glob(filepath.Join(n.Records.Root, tt.pattern))
			if err != nil || len(files) == 0 {
				t.Fatalf("%v, %v", files, err)
			}
			for _, f := range files {
				if err := os.WriteFile(f, []byte("{"), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			p.remove(t, n)
			for _, side := range []config.Side{config.PodSide, config.HostSide} {
				if a := p.attached(t, side); a.ProgramID != 0 {
					t.Errorf("side %s still carries %s", side, a)
				}
			}
			if keys, err := n.Keys(); len(keys) != 0 || err != nil {
				t.Errorf("left: %v, %v", keys, err)
			}
			asides, err := os.ReadDir(filepath.Join(n.Records.Root, "broken"))
			if err != nil || len(asides) != len(files) {
				t.Errorf("%d files set aside, want %d (%v)", len(asides), len(files), err)
			}
			if err := os.RemoveAll(filepath.Join(n.Records.Root, "broken")); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func TestListShowsTheOthersBesideABrokenRecord(t *testing.T) {
	n := Default()
	good, bad := newPod(t, 0), newPod(t, 0)
	good.apply(t, n, programs("count")...)
	bad.apply(t, n, programs("count")...)
	path := filepath.Join(n.Records.Root, "chains", bad.chain(t, n, config.PodSide).Key.String()+".json")
	if err := os.WriteFile(path, []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	list, err := inspect.List(n.Node)
	if !errors.Is(err, record.ErrBroken) || len(list) != 1 || list[0].Owners[0].ContainerID != good.ContainerID {
		t.Errorf("list %v, %v; want the good one and an ErrBroken", list, err)
	}
	good.remove(t, n)
	bad.remove(t, n)
}

// Pods leave while GC is at work, so a record may be gone by the time it is read;
// one that is there and broken must not pass for a chain that needs nothing.
func TestGCKeepsWhatRecordsNeed(t *testing.T) {
	testenv.NoLeaks(t)
	n, p := Default(), newPod(t, 0)
	p.apply(t, n, programs("count")...)
	defer p.remove(t, n)
	key := p.chain(t, n, config.PodSide).Key
	gone := chain.Key{Cookie: key.Cookie, Ifindex: key.Ifindex + 1}
	needed, err := n.NeededObjects([]chain.Key{gone, key})
	if err != nil || len(needed) != 1 {
		t.Errorf("needed are %v, %v; want the one object of the chain that is there", needed, err)
	}

	path := filepath.Join(n.Records.Root, "chains", gone.String()+".json")
	if err := os.WriteFile(path, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(filepath.Join(n.Records.Root, "broken"))
	if needed, err := n.NeededObjects([]chain.Key{gone, key}); !errors.Is(err, record.ErrBroken) {
		t.Errorf("needed are %v, %v; want an ErrBroken", needed, err)
	}
}
