// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"

	"github.com/xdp-chain/xdp-chain/internal/config"
	"github.com/xdp-chain/xdp-chain/internal/node/doctor"
	"github.com/xdp-chain/xdp-chain/internal/node/state"
	"github.com/xdp-chain/xdp-chain/internal/record"
	"github.com/xdp-chain/xdp-chain/internal/testenv"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
)

// kept is everything that a node keeps, each path with its mode, size and time.
func kept(t *testing.T, n *Node) map[string]string {
	t.Helper()
	found := make(map[string]string)
	for _, root := range []string{n.BPFFS.Root, n.Records.Root, n.Store.Dir} {
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			if err != nil {
				return err
			}
			info, err := d.Info()
			if err == nil {
				found[path] = strings.Join([]string{info.Mode().String(), info.ModTime().String()}, " ")
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return found
}

func kindsOf(left []doctor.Leftover) []doctor.LeftoverKind {
	kinds := make([]doctor.LeftoverKind, 0, len(left))
	for _, l := range left {
		kinds = append(kinds, l.Kind)
	}
	return kinds
}

// onlyLeft waits until what is left is of these kinds: the kernel takes interfaces and
// namespaces down in its own time.
func onlyLeft(t *testing.T, n *Node, want ...doctor.LeftoverKind) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		before := kept(t, n)
		left, err := doctor.Leftovers(n.Node)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(before, kept(t, n)); diff != "" {
			t.Fatalf("looking for leftovers has changed (-before +after):\n%s", diff)
		}
		if slices.Equal(kindsOf(left), want) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("left are %v, want %v", left, want)
		}
	}
}

// sharedCount is a program whose map all pods of the network share.
func sharedCount() config.Program {
	return config.Program{Name: "count", Maps: map[string]config.MapSettings{"traffic": {Scope: config.ScopeNode}}}
}

func TestTheLivingIsNoLeftover(t *testing.T) {
	n := Default()
	for _, w := range ways {
		if testing.Short() && w.dispatcher == chain.DispatcherLinked {
			continue
		}
		t.Run(w.String(), func(t *testing.T) {
			testenv.NoLeaks(t)
			p := w.pod(t)
			p.apply(t, n, sharedCount(), onHost(programs("pass")[0]))
			m := p.load(t, n, "pass", 70)
			onlyLeft(t, n)
			if removed, err := doctor.RemoveLeftovers(t.Context(), n.Node); len(removed) != 0 || err != nil {
				t.Errorf("removed %v, %v", removed, err)
			}
			if err := n.Unload(t.Context(), false, m.ID); err != nil {
				t.Fatal(err)
			}
			p.check(t, n)
			p.remove(t, n)
		})
	}
}

func TestLeftovers(t *testing.T) {
	testenv.KernelIndependent(t)
	fatal := func(t *testing.T, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	pinned := func(t *testing.T, n *Node, path string) {
		t.Helper()
		fatal(t, n.BPFFS.Ensure())
		path = filepath.Join(n.BPFFS.Root, "xdp-chain", path)
		p, err := ebpf.NewProgram(&ebpf.ProgramSpec{Type: ebpf.XDP, License: "GPL", Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, 2), asm.Return()}})
		fatal(t, err)
		defer p.Close()
		fatal(t, os.MkdirAll(filepath.Dir(path), 0o700))
		fatal(t, p.Pin(path))
	}
	for _, tt := range []struct {
		name string
		make func(t *testing.T, n *Node, p *pod)
		want []doctor.LeftoverKind
		// alive says that the pod is still there and has to be removed.
		alive bool
	}{
		{"interface gone", func(t *testing.T, n *Node, p *pod) {
			p.apply(t, n, sharedCount(), onHost(programs("pass")[0]))
			p.deleteVeth(t)
		}, []doctor.LeftoverKind{doctor.LeftoverChain, doctor.LeftoverChain, doctor.LeftoverAttachment, doctor.LeftoverMaps}, false},
		{"namespace gone", func(t *testing.T, n *Node, p *pod) {
			p.Attach = chain.AttachNetlink
			p.apply(t, n, programs("pass")...)
			testenv.RemoveNetNS(t, p.NetNS)
		}, []doctor.LeftoverKind{doctor.LeftoverChain, doctor.LeftoverAttachment}, false},
		{"killed before it had a chain", func(t *testing.T, n *Node, p *pod) {
			p.changeUntil(t, n, diesAfterIndex, programs("pass"))
			p.deleteVeth(t)
		}, []doctor.LeftoverKind{doctor.LeftoverAttachment}, false},
		{"pins without a record", func(t *testing.T, n *Node, p *pod) {
			pinned(t, n, "chains/999999999-7/maps/count/traffic")
		}, []doctor.LeftoverKind{doctor.LeftoverPins}, false},
		{"maps of no network", func(t *testing.T, n *Node, p *pod) {
			pinned(t, n, "node/oldnet/traffic")
		}, []doctor.LeftoverKind{doctor.LeftoverMaps}, false},
		{"maps of nobody's hand", func(t *testing.T, n *Node, p *pod) {
			pinned(t, n, "node/"+state.ManualNetwork+"/traffic")
		}, []doctor.LeftoverKind{doctor.LeftoverMaps}, false},
		{"libxdp's pins of no namespace", func(t *testing.T, n *Node, p *pod) {
			pinned(t, n, "netns/888888888/xdp/dispatch-7-9/prog0-prog")
		}, []doctor.LeftoverKind{doctor.LeftoverLibxdp}, false},
		{"change unended", func(t *testing.T, n *Node, p *pod) {
			p.apply(t, n, programs("pass")...)
			p.changeUntil(t, n, diesAfterStage, programs("pass", "count"))
			p.Programs = programs("pass")
		}, []doctor.LeftoverKind{doctor.LeftoverChange}, true},
		{"old object", func(t *testing.T, n *Node, p *pod) {
			p.apply(t, n, programs("pass")...)
			p.remove(t, n)
			old := time.Now().Add(-2 * state.UnusedObjectAge)
			blobs, err := filepath.Glob(filepath.Join(n.Store.Dir, "blobs/sha256/*"))
			fatal(t, err)
			for _, blob := range blobs {
				fatal(t, os.Chtimes(blob, old, old))
			}
		}, []doctor.LeftoverKind{doctor.LeftoverObject, doctor.LeftoverObject}, false},
		{"temporary file", func(t *testing.T, n *Node, p *pod) {
			path := filepath.Join(n.Records.Root, "tmp/.1-2.json77")
			fatal(t, os.MkdirAll(filepath.Dir(path), 0o700))
			t.Cleanup(func() { os.Remove(filepath.Dir(path)) })
			fatal(t, os.WriteFile(path, nil, 0o600))
			old := time.Now().Add(-time.Hour)
			fatal(t, os.Chtimes(path, old, old))
		}, []doctor.LeftoverKind{doctor.LeftoverTemporary}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			testenv.NoLeaks(t)
			n, p := Default(), newPod(t, 0)
			n.Store.Dir = filepath.Join(t.TempDir(), "store")
			tt.make(t, n, p)
			t.Cleanup(func() { _, _ = doctor.RemoveLeftovers(context.Background(), n.Node) }) // for the other cases, where this fails
			onlyLeft(t, n, tt.want...)
			removed, err := doctor.RemoveLeftovers(t.Context(), n.Node)
			if diff := cmp.Diff(tt.want, kindsOf(removed)); diff != "" || err != nil {
				t.Errorf("removed (-want +got), %v:\n%s", err, diff)
			}
			onlyLeft(t, n)
			if tt.alive {
				p.check(t, n)
				p.remove(t, n)
			}
		})
	}
}

// Nothing is removed on account of a record that nobody can read, and whoever only looks
// leaves it where it is.
func TestLeftoversOfAnUnreadableRecord(t *testing.T) {
	testenv.KernelIndependent(t)
	testenv.NoLeaks(t)
	n, p := Default(), newPod(t, 0)
	p.apply(t, n, programs("pass")...)
	key := p.chain(t, n, config.PodSide).Key
	file := filepath.Join(n.Records.Root, "chains", key.String()+".json")
	if err := os.WriteFile(file, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	before := kept(t, n)
	if left, err := doctor.Leftovers(n.Node); len(left) != 0 || !errors.Is(err, record.ErrBroken) {
		t.Errorf("left are %v, %v", left, err)
	}
	if diff := cmp.Diff(before, kept(t, n)); diff != "" {
		t.Errorf("a look has changed (-before +after):\n%s", diff)
	}
	if a := p.attached(t, config.PodSide); a.ProgramID == 0 {
		t.Error("the chain is off")
	}
	p.remove(t, n)
	if err := os.RemoveAll(filepath.Join(n.Records.Root, "broken")); err != nil {
		t.Fatal(err)
	}
}

// A chain that somebody works on is not looked at.
func TestLeftoversPassOverTheBusy(t *testing.T) {
	testenv.KernelIndependent(t)
	testenv.NoLeaks(t)
	n, p := Default(), newPod(t, 0)
	p.apply(t, n, programs("pass")...)
	key := p.chain(t, n, config.PodSide).Key
	lock, err := n.BPFFS.Lock(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	p.deleteVeth(t)
	p.awaitGone(t, n, key)
	onlyLeft(t, n)
	if err := lock.Unlock(); err != nil {
		t.Fatal(err)
	}
	onlyLeft(t, n, doctor.LeftoverChain, doctor.LeftoverAttachment)
	if _, err := doctor.RemoveLeftovers(t.Context(), n.Node); err != nil {
		t.Error(err)
	}
}

// An operator's interface may be moved, with the chain on it that netlink holds.
func TestWhatWasMovedIsNoLeftover(t *testing.T) {
	testenv.KernelIndependent(t)
	testenv.NoLeaks(t)
	n, p := Default(), newPod(t, 0)
	other := testenv.NewNetNS(t)
	p.Attach = chain.AttachNetlink
	p.load(t, n, "pass", 50)
	testenv.InNetNS(t, p.NetNS, func() error {
		eth0, err := netlink.LinkByName(p.Ifname)
		if err != nil {
			return err
		}
		ns, err := netns.GetFromPath(other)
		if err != nil {
			return err
		}
		defer ns.Close()
		return netlink.LinkSetNsFd(eth0, int(ns))
	})
	onlyLeft(t, n)
	p.deleteVeth(t)
	onlyLeft(t, n, doctor.LeftoverChain)
	if removed, err := doctor.RemoveLeftovers(t.Context(), n.Node); len(removed) != 1 || err != nil {
		t.Errorf("removed %v, %v", removed, err)
	}
}

// awaitGone waits until the chain's link has lost its interface.
func (p *pod) awaitGone(t *testing.T, n *Node, key chain.Key) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(time.Millisecond) {
		alive, err := n.LinkAlive(key)
		if err != nil || time.Now().After(deadline) {
			t.Fatalf("the link is still there: %v", err)
		}
		if !alive {
			return
		}
	}
}
