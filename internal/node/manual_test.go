// SPDX-License-Identifier: Apache-2.0

package node_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/xdp-chain/xdp-chain/internal/config"
	"github.com/xdp-chain/xdp-chain/internal/node"
	"github.com/xdp-chain/xdp-chain/internal/node/change"
	"github.com/xdp-chain/xdp-chain/internal/node/inspect"
	"github.com/xdp-chain/xdp-chain/internal/node/nodetest"
	"github.com/xdp-chain/xdp-chain/internal/node/state"
	"github.com/xdp-chain/xdp-chain/internal/record"
	"github.com/xdp-chain/xdp-chain/internal/testenv"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
	"github.com/xdp-chain/xdp-chain/pkg/netdev"
	"github.com/xdp-chain/xdp-chain/pkg/pin"
)

func TestLoadAndUnload(t *testing.T) {
	for _, way := range nodetest.Ways {
		t.Run(way.String(), func(t *testing.T) {
			p := way.Pod(t)
			testenv.NoLeaks(t)
			n := node.Default()
			loaded := []inspect.Member{p.Load(t, n, "pass", 100), p.Load(t, n, "pass", 50), p.Load(t, n, "count", 0), p.Load(t, n, "pass", 75)}
			p.WantMembers(t, n, "count pass-2 pass-3 pass")
			if diff := cmp.Diff([]int{0, 0, 0, 2}, []int{loaded[0].Position, loaded[1].Position, loaded[2].Position, loaded[3].Position}); diff != "" {
				t.Errorf("positions at loading: %s", diff)
			}
			p.Send(t, n, 7)
			nodetest.Unload(t, n, loaded[1].ID, loaded[3].ID)
			left := p.Members(t, n)
			if diff := cmp.Diff("count pass", nodetest.Names(left)); diff != "" {
				t.Error(diff)
			}
			if left[0].ID != loaded[2].ID || !left[0].CreatedAt.Equal(loaded[2].CreatedAt) || left[0].Metadata["owner"] != "net-team" {
				t.Errorf("the member that stays was %+v and is %+v", loaded[2], left[0])
			}
			nodetest.Unload(t, n, loaded[0].ID, loaded[2].ID)
			p.WantNothing(t, config.PodSide)
			if err := n.Unload(t.Context(), false, loaded[0].ID); !errors.Is(err, state.ErrNoMember) {
				t.Errorf("unloading a second time: %v", err)
			}
			if again := p.Load(t, n, "pass", 1); again.ID <= loaded[3].ID {
				t.Errorf("id %d after %d", again.ID, loaded[3].ID)
			}
			if _, err := n.UnloadAll(t.Context(), p.Manual("", 0).Place, false); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestLoadOfANameThatIsTaken(t *testing.T) {
	nodetest.MachineOnly(t)
	testenv.NoLeaks(t)
	n, p := node.Default(), nodetest.NewPod(t, 0)
	l := p.Manual("count", 10)
	l.Program.Name = "mine"
	m := nodetest.Load(t, n, l)
	p.Send(t, n, 2)
	before := p.Chain(t, n, config.PodSide)
	if _, err := n.Load(t.Context(), l); !errors.Is(err, chain.ErrInvalid) || !strings.Contains(err.Error(), fmt.Sprintf("member %d", m.ID)) {
		t.Errorf("a second one of its name: %v", err)
	}
	if diff := cmp.Diff(before, p.Chain(t, n, config.PodSide)); diff != "" {
		t.Error(diff)
	}
	p.UnloadAll(t, n)
}

func TestUnloadOfOthers(t *testing.T) {
	testenv.NoLeaks(t)
	n, p := node.Default(), nodetest.NewPod(t, 0)
	p.Apply(t, n, nodetest.Programs("count", "pass")...)
	p.Load(t, n, "drop", 15)
	members := p.Members(t, n)
	if err := n.Unload(t.Context(), false, members[2].ID, members[1].ID); !errors.Is(err, change.ErrOthers) || len(p.Members(t, n)) != 3 {
		t.Errorf("of a pod's member: %v; %d members are left", err, len(p.Members(t, n)))
	}
	if err := n.Unload(t.Context(), true, members[2].ID); err != nil {
		t.Fatal(err)
	}
	if err := n.Check(t.Context(), p.Attachment); !errors.Is(err, state.ErrDiffers) {
		t.Errorf("CHECK after it: %v", err)
	}
	if err := n.Apply(t.Context(), p.Attachment); err != nil { // puts it back, and leaves what is others'
		t.Fatal(err)
	}
	p.WantMembers(t, n, "count drop pass")
	p.Remove(t, n)
	p.WantMembers(t, n, "drop")
	if taken, err := n.UnloadAll(t.Context(), p.Manual("", 0).Place, false); err != nil || !cmp.Equal(taken, []record.ID{members[1].ID}) {
		t.Errorf("took %v, %v", taken, err)
	}
}

// What ip netns exec starts has a /sys without the machine's bpffs.
func TestLoadFromInsideANamespace(t *testing.T) {
	var own, first unix.Stat_t
	if err := errors.Join(unix.Stat(netdev.CurrentPath, &own), unix.Stat("/proc/1/ns/net", &first)); err != nil {
		t.Fatal(err)
	}
	if own.Ino == first.Ino {
		t.Skip("this process is in the first network namespace, as in the lab")
	}
	testenv.NoLeaks(t)
	n, p := node.Default(), nodetest.NewPod(t, 0)
	if err := errors.Join(n.BPFFS.Ensure(), unix.Unmount(n.BPFFS.Root, 0)); err != nil {
		t.Fatal(err)
	}
	_, err := n.Load(t.Context(), p.Manual("pass", 1))
	if !errors.Is(err, pin.ErrNoBPFFS) || !strings.Contains(err.Error(), "ip netns exec") {
		t.Errorf("load: %v", err)
	}
	if mounted, err := n.BPFFS.Mounted(); mounted || err != nil {
		t.Errorf("a bpffs was mounted: %t, %v", mounted, err)
	}
	if err := n.BPFFS.Ensure(); err != nil {
		t.Fatal(err)
	}
	p.Load(t, n, "pass", 1)
	if _, err := n.UnloadAll(t.Context(), p.Manual("", 0).Place, false); err != nil {
		t.Error(err)
	}
}

// loadVersion loads a member for which a version of libxdp's protocol is named, under
// dispatcher auto.
func loadVersion(t *testing.T, p *nodetest.Pod, n *node.Node, version chain.LibxdpVersion) error {
	t.Helper()
	l := p.Manual("pass", 50)
	l.Dispatcher, l.LibxdpVersion = chain.DispatcherAuto, version
	_, err := n.Load(t.Context(), l)
	return err
}

// A version that is named for a chain that is linked, or would be, is no wish to pass over.
// One that a network's configuration names holds for those of its chains that are libxdp's,
// and says nothing against others.
func TestLoadOfAVersionForALinkedChain(t *testing.T) {
	testenv.KernelIndependent(t)
	nodetest.MachineOnly(t)
	testenv.NoLeaks(t)
	n, p := node.Default(), nodetest.NewPod(t, 0)
	if err := loadVersion(t, p, n, chain.LibxdpV3); !errors.Is(err, chain.ErrInvalid) {
		t.Errorf("for a chain that is to be made: %v", err)
	}
	if list, err := inspect.List(n.Node); len(list) != 0 || err != nil {
		t.Errorf("left: %v, %v", list, err)
	}
	p.LibxdpVersion = chain.LibxdpV3
	p.Apply(t, n, nodetest.Programs("count")...)
	if err := loadVersion(t, p, n, chain.LibxdpV3); !errors.Is(err, chain.ErrInvalid) {
		t.Errorf("for a chain that runs: %v", err)
	}
	p.Check(t, n)
	p.Load(t, n, "pass", 50) // names none
	p.Check(t, n)
	p.Remove(t, n)
	p.UnloadAll(t, n)
}

// Where the chain is libxdp's the version need not be said with the dispatcher.
func TestLoadOfAVersionForLibxdpsChain(t *testing.T) {
	testenv.NeedFreplace(t)
	for name, begin := range map[string]func(t *testing.T, n *node.Node, p *nodetest.Pod){
		"ours":   func(t *testing.T, n *node.Node, p *nodetest.Pod) { p.Load(t, n, "count", 10) },
		"theirs": func(t *testing.T, n *node.Node, p *nodetest.Pod) { p.Tool(t, n).Change(t, n, nodetest.All, 5, "pass") },
	} {
		t.Run(name, func(t *testing.T) {
			testenv.NoLeaks(t)
			n, p := node.Default(), nodetest.NewLibxdpPod(t)
			begin(t, n, p)
			if err := loadVersion(t, p, n, chain.LibxdpV2); err != nil {
				t.Error(err)
			}
			if err := loadVersion(t, p, n, chain.LibxdpV3); err == nil {
				t.Error("a version that the chain does not have was passed over")
			}
			p.DeleteVeth(t) // and what the tools have in the chain
			nodetest.Sweep(t, n)
		})
	}
}
