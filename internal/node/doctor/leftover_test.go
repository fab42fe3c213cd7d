// SPDX-License-Identifier: Apache-2.0

package doctor_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/xdp-chain/xdp-chain/internal/config"
	"github.com/xdp-chain/xdp-chain/internal/enum/enumtest"
	"github.com/xdp-chain/xdp-chain/internal/node"
	"github.com/xdp-chain/xdp-chain/internal/node/doctor"
	"github.com/xdp-chain/xdp-chain/internal/node/nodetest"
	"github.com/xdp-chain/xdp-chain/internal/node/state"
	"github.com/xdp-chain/xdp-chain/internal/record"
	"github.com/xdp-chain/xdp-chain/internal/testenv"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
)

func TestTheLivingIsNoLeftover(t *testing.T) {
	n := node.Default()
	for _, w := range nodetest.Ways {
		if testing.Short() && w.Dispatcher == chain.DispatcherLinked {
			continue
		}
		t.Run(w.String(), func(t *testing.T) {
			testenv.NoLeaks(t)
			p := w.Pod(t)
			p.Apply(t, n, nodetest.Sharing()[0], nodetest.OnHost(nodetest.At(10, "pass")))
			m := p.Load(t, n, "pass", 70)
			nodetest.RemoveLeft(t, n)
			nodetest.Unload(t, n, m.ID)
			p.Check(t, n)
			p.Remove(t, n)
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
	pinned := func(t *testing.T, n *node.Node, path string) {
		t.Helper()
		fatal(t, n.BPFFS.Ensure())
		path = filepath.Join(n.BPFFS.Root, "xdp-chain", path)
		fatal(t, os.MkdirAll(filepath.Dir(path), 0o700))
		fatal(t, nodetest.ForeignProgram(t).Pin(path))
	}
	for _, tt := range []struct {
		name string
		make func(t *testing.T, n *node.Node, p *nodetest.Pod)
		want []doctor.LeftoverKind
	}{
		{"interface gone", func(t *testing.T, n *node.Node, p *nodetest.Pod) {
			p.Apply(t, n, nodetest.Sharing()[0], nodetest.OnHost(nodetest.At(10, "pass")))
			p.DeleteVeth(t)
		}, []doctor.LeftoverKind{doctor.LeftoverChain, doctor.LeftoverChain, doctor.LeftoverAttachment, doctor.LeftoverMaps}},
		{"namespace gone", func(t *testing.T, n *node.Node, p *nodetest.Pod) {
			p.Attach = chain.AttachNetlink
			p.Apply(t, n, nodetest.Programs("pass")...)
			testenv.RemoveNetNS(t, p.NetNS)
		}, []doctor.LeftoverKind{doctor.LeftoverChain, doctor.LeftoverAttachment}},
		{"killed before it had a chain", func(t *testing.T, n *node.Node, p *nodetest.Pod) {
			p.Begin(t, n, nodetest.Programs("pass"))
			p.DeleteVeth(t)
		}, []doctor.LeftoverKind{doctor.LeftoverAttachment}},
		{"pins without a record", func(t *testing.T, n *node.Node, p *nodetest.Pod) {
			pinned(t, n, "chains/999999999-7/maps/count/traffic")
		}, []doctor.LeftoverKind{doctor.LeftoverPins}},
		{"maps of no network", func(t *testing.T, n *node.Node, p *nodetest.Pod) {
			pinned(t, n, "node/oldnet/traffic")
		}, []doctor.LeftoverKind{doctor.LeftoverMaps}},
		{"maps of no manual member", func(t *testing.T, n *node.Node, p *nodetest.Pod) {
			pinned(t, n, "node/"+state.ManualNetwork+"/traffic")
		}, []doctor.LeftoverKind{doctor.LeftoverMaps}},
		{"libxdp's pins of no namespace", func(t *testing.T, n *node.Node, p *nodetest.Pod) {
			pinned(t, n, "netns/888888888/xdp/dispatch-7-9/prog0-prog")
		}, []doctor.LeftoverKind{doctor.LeftoverLibxdp}},
		{"old object", func(t *testing.T, n *node.Node, p *nodetest.Pod) {
			p.Apply(t, n, nodetest.Programs("pass")...)
			p.Remove(t, n)
			old := time.Now().Add(-2 * state.UnusedObjectAge)
			blobs, err := filepath.Glob(filepath.Join(n.Store.Dir, "blobs/sha256/*"))
			fatal(t, err)
			for _, blob := range blobs {
				fatal(t, os.Chtimes(blob, old, old))
			}
		}, []doctor.LeftoverKind{doctor.LeftoverObject, doctor.LeftoverObject}},
		{"temporary file", func(t *testing.T, n *node.Node, p *nodetest.Pod) {
			path := filepath.Join(n.Records.Root, "tmp/.1-2.json77")
			fatal(t, os.MkdirAll(filepath.Dir(path), 0o700))
			t.Cleanup(func() { os.Remove(filepath.Dir(path)) })
			fatal(t, os.WriteFile(path, nil, 0o600))
			old := time.Now().Add(-time.Hour)
			fatal(t, os.Chtimes(path, old, old))
		}, []doctor.LeftoverKind{doctor.LeftoverTemporary}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			testenv.NoLeaks(t)
			n, p := node.Default(), nodetest.NewPod(t, 0)
			n.Store.Dir = filepath.Join(t.TempDir(), "store")
			tt.make(t, n, p)
			t.Cleanup(func() { _, _ = doctor.RemoveLeftovers(context.Background(), n.Node) }) // for the other cases, where this fails
			nodetest.RemoveLeft(t, n, tt.want...)
		})
	}
}

// Nothing is removed on account of a record that nobody can read, and whoever only looks
// leaves it where it is.
func TestLeftoversOfAnUnreadableRecord(t *testing.T) {
	testenv.KernelIndependent(t)
	testenv.NoLeaks(t)
	n, p := node.Default(), nodetest.NewPod(t, 0)
	p.Apply(t, n, nodetest.Programs("pass")...)
	nodetest.BreakRecord(t, n, p.Key(t, config.PodSide))
	before := nodetest.Kept(t, n)
	if left, err := doctor.Leftovers(n.Node); len(left) != 0 || !errors.Is(err, record.ErrBroken) {
		t.Errorf("left are %v, %v", left, err)
	}
	if diff := cmp.Diff(before, nodetest.Kept(t, n)); diff != "" {
		t.Errorf("a look has changed (-before +after):\n%s", diff)
	}
	if a := p.Attached(t, config.PodSide); a.ProgramID == 0 {
		t.Error("the chain is off")
	}
	p.Remove(t, n)
}

// A chain that somebody works on is not looked at.
func TestLeftoversPassOverTheBusy(t *testing.T) {
	testenv.KernelIndependent(t)
	testenv.NoLeaks(t)
	n, p := node.Default(), nodetest.NewPod(t, 0)
	p.Apply(t, n, nodetest.Programs("pass")...)
	key := p.Key(t, config.PodSide)
	lock, err := n.BPFFS.Lock(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	p.DeleteVeth(t)
	nodetest.AwaitGone(t, n, key)
	nodetest.OnlyLeft(t, n)
	if err := lock.Unlock(); err != nil {
		t.Fatal(err)
	}
	nodetest.RemoveLeft(t, n, doctor.LeftoverChain, doctor.LeftoverAttachment)
}

func TestWhatComesDuringTheLookIsNoLeftover(t *testing.T) {
	testenv.KernelIndependent(t)
	testenv.NoLeaks(t)
	n := node.Default()
	s, err := doctor.NewSurvey(n.Node)
	if err != nil {
		t.Fatal(err)
	}
	p := nodetest.NewPod(t, 0)
	p.Begin(t, n, nodetest.Programs("pass")) // so far it has come
	lock, err := p.Tool(t, n).Tree.Lock(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	found, errs := s.LookAtShared()
	if err := errors.Join(append(errs, lock.Unlock())...); len(found) != 0 || err != nil {
		t.Errorf("left are %v, %v", found, err)
	}
	p.Remove(t, n)
}

// An operator's interface may be moved, with the chain on it that netlink holds.
func TestWhatWasMovedIsNoLeftover(t *testing.T) {
	testenv.KernelIndependent(t)
	testenv.NoLeaks(t)
	n, p := node.Default(), nodetest.NewPod(t, 0)
	other := testenv.NewNetNS(t)
	p.Attach = chain.AttachNetlink
	p.Load(t, n, "pass", 50)
	p.MoveTo(t, other)
	nodetest.OnlyLeft(t, n)
	p.DeleteVeth(t)
	nodetest.RemoveLeft(t, n, doctor.LeftoverChain)
}

func TestLeftoverKind(t *testing.T) {
	enumtest.PrintAndParse(t, map[doctor.LeftoverKind]string{
		0: "chain", doctor.LeftoverPins: "pins", doctor.LeftoverChange: "change", doctor.LeftoverAttachment: "attachment",
		doctor.LeftoverMaps: "maps", doctor.LeftoverLibxdp: "libxdp", doctor.LeftoverObject: "object", doctor.LeftoverTemporary: "temporary",
	})
	enumtest.Refuse(t, chain.ErrInvalid, []string{"", "0", "Chain", "OK", (doctor.LeftoverTemporary + 1).String()}, doctor.LeftoverTemporary+1)
}
