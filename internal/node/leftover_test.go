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

func kindsOf(left []Leftover) []LeftoverKind {
	kinds := make([]LeftoverKind, 0, len(left))
	for _, l := range left {
		kinds = append(kinds, l.Kind)
	}
	return kinds
}

// onlyLeft waits until what is left is of these kinds: the kernel takes interfaces and
// namespaces down in its own time.
func onlyLeft(t *testing.T, n *Node, want ...LeftoverKind) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		before := kept(t, n)
		left, err := n.Leftovers()
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
			if removed, err := n.RemoveLeftovers(t.Context()); len(removed) != 0 || err != nil {
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
		want []LeftoverKind
		// alive says that the pod is still there and has to be removed.
		alive bool
	}{
		{"interface gone", func(t *testing.T, n *Node, p *pod) {
			p.apply(t, n, sharedCount(), onHost(programs("pass")[0]))
			p.deleteVeth(t)
		}, []LeftoverKind{LeftoverChain, LeftoverChain, LeftoverAttachment, LeftoverMaps}, false},
		{"namespace gone", func(t *testing.T, n *Node, p *pod) {
			p.Attach = chain.AttachNetlink
			p.apply(t, n, programs("pass")...)
			testenv.RemoveNetNS(t, p.NetNS)
		}, []LeftoverKind{LeftoverChain, LeftoverAttachment}, false},
		{"killed before it had a chain", func(t *testing.T, n *Node, p *pod) {
			p.changeUntil(t, n, diesAfterIndex, programs("pass"))
			p.deleteVeth(t)
		}, []LeftoverKind{LeftoverAttachment}, false},
		{"pins without a record", func(t *testing.T, n *Node, p *pod) {
			pinned(t, n, "chains/999999999-7/maps/count/traffic")
		}, []LeftoverKind{LeftoverPins}, false},
		{"maps of no network", func(t *testing.T, n *Node, p *pod) {
			pinned(t, n, "node/oldnet/traffic")
		}, []LeftoverKind{LeftoverMaps}, false},
		{"maps of nobody's hand", func(t *testing.T, n *Node, p *pod) {
			pinned(t, n, "node/"+handNetwork+"/traffic")
		}, []LeftoverKind{LeftoverMaps}, false},
		{"libxdp's pins of no namespace", func(t *testing.T, n *Node, p *pod) {
			pinned(t, n, "netns/888888888/xdp/dispatch-7-9/prog0-prog")
		}, []LeftoverKind{LeftoverLibxdp}, false},
		{"change unended", func(t *testing.T, n *Node, p *pod) {
			p.apply(t, n, programs("pass")...)
			p.changeUntil(t, n, diesAfterStage, programs("pass", "count"))
			p.Programs = programs("pass")
		}, []LeftoverKind{LeftoverChange}, true},
		{"old object", func(t *testing.T, n *Node, p *pod) {
			p.apply(t, n, programs("pass")...)
			p.remove(t, n)
			old := time.Now().Add(-2 * unusedObjectAge)
			blobs, err := filepath.Glob(filepath.Join(n.Store.Dir, "blobs/sha256/*"))
			fatal(t, err)
			for _, blob := range blobs {
				fatal(t, os.Chtimes(blob, old, old))
			}
		}, []LeftoverKind{LeftoverObject, LeftoverObject}, false},
		{"temporary file", func(t *testing.T, n *Node, p *pod) {
			path := filepath.Join(n.Records.Root, "tmp/.1-2.json77")
			fatal(t, os.MkdirAll(filepath.Dir(path), 0o700))
			t.Cleanup(func() { os.Remove(filepath.Dir(path)) })
			fatal(t, os.WriteFile(path, nil, 0o600))
			old := time.Now().Add(-time.Hour)
			fatal(t, os.Chtimes(path, old, old))
		}, []LeftoverKind{LeftoverTemporary}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			testenv.NoLeaks(t)
			n, p := Default(), newPod(t, 0)
			n.Store.Dir = filepath.Join(t.TempDir(), "store")
			tt.make(t, n, p)
			t.Cleanup(func() { _, _ = n.RemoveLeftovers(context.Background()) }) // for the other cases, where this fails
			onlyLeft(t, n, tt.want...)
			removed, err := n.RemoveLeftovers(t.Context())
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
	if left, err := n.Leftovers(); len(left) != 0 || !errors.Is(err, record.ErrBroken) {
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
	onlyLeft(t, n, LeftoverChain, LeftoverAttachment)
	if _, err := n.RemoveLeftovers(t.Context()); err != nil {
		t.Error(err)
	}
}

// A namespace that comes while the node is looked at is not found, and no reason to take
// what an ADD is just making for it.
func TestWhatComesDuringTheLookIsNoLeftover(t *testing.T) {
	testenv.KernelIndependent(t)
	testenv.NoLeaks(t)
	n := Default()
	s, err := n.survey()
	if err != nil {
		t.Fatal(err)
	}
	p := newPod(t, 0)
	p.changeUntil(t, n, diesAfterIndex, programs("pass")) // so far it has come
	lock, err := p.tool(t, n).tree.Lock(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s.chains()
	s.attachments()
	s.maps()
	s.libxdp()
	if err := errors.Join(append(s.errs, lock.Unlock())...); len(s.found) != 0 || err != nil {
		t.Errorf("left are %v, %v", s.found, err)
	}
	p.remove(t, n)
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
	onlyLeft(t, n, LeftoverChain)
	if removed, err := n.RemoveLeftovers(t.Context()); len(removed) != 1 || err != nil {
		t.Errorf("removed %v, %v", removed, err)
	}
}

// awaitGone waits until the chain's link has lost its interface.
func (p *pod) awaitGone(t *testing.T, n *Node, key chain.Key) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(time.Millisecond) {
		alive, err := n.linkAlive(key)
		if err != nil || time.Now().After(deadline) {
			t.Fatalf("the link is still there: %v", err)
		}
		if !alive {
			return
		}
	}
}
