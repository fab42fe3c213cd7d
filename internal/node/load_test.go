// SPDX-License-Identifier: Apache-2.0

package node

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/xdp-chain/xdp-chain/internal/config"
	"github.com/xdp-chain/xdp-chain/internal/node/change"
	"github.com/xdp-chain/xdp-chain/internal/node/inspect"
	"github.com/xdp-chain/xdp-chain/internal/node/state"
	"github.com/xdp-chain/xdp-chain/internal/record"
	"github.com/xdp-chain/xdp-chain/internal/testenv"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
	"github.com/xdp-chain/xdp-chain/pkg/netdev"
	"github.com/xdp-chain/xdp-chain/pkg/pin"
)

// handWays are the ways by which tests of members by hand go. In the lab, whose guests are
// slow, that is the one which the machine itself may refuse.
func handWays() []way {
	if testing.Short() {
		return ways[2:]
	}
	return ways
}

// machineOnly spares the lab's guests a test that would tell nothing new there.
func machineOnly(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("no kernel of the lab is expected to do this otherwise")
	}
}

// byHand is what loads a built-in program into the pod's chain, at a priority.
func (p *pod) byHand(entry string, priority int) Load {
	return Load{
		Place: Place{NetNS: p.NetNS, Interface: p.Ifname}, Entry: entry, Program: config.Program{Priority: &priority},
		Requested: config.Requested{Dispatcher: p.Dispatcher, Attach: p.Attach}, Metadata: map[string]string{"owner": "net-team"},
	}
}

func (p *pod) load(t *testing.T, n *Node, entry string, priority int) inspect.Member {
	t.Helper()
	m, err := n.Load(t.Context(), p.byHand(entry, priority))
	if err != nil {
		t.Fatalf("load %s: %v", entry, err)
	}
	return m
}

// running are the members of the node's only chain, in running order.
func running(t *testing.T, n *Node) (members []inspect.Member) {
	t.Helper()
	list, err := inspect.List(n.Node)
	if err != nil || len(list) > 1 {
		t.Fatalf("%d chains, %v", len(list), err)
	}
	for _, c := range list {
		members = append(members, c.Members...)
	}
	return members
}

func namesOf(members []inspect.Member) (list []string) {
	for _, m := range members {
		list = append(list, m.Name)
	}
	return list
}

func TestLoadAndUnload(t *testing.T) {
	for _, way := range ways {
		t.Run(way.String(), func(t *testing.T) {
			p := way.pod(t)
			testenv.NoLeaks(t)
			n := Default()
			loaded := []inspect.Member{p.load(t, n, "pass", 100), p.load(t, n, "pass", 50), p.load(t, n, "count", 0), p.load(t, n, "pass", 75)}
			if diff := cmp.Diff([]string{"count", "pass-2", "pass-3", "pass"}, namesOf(running(t, n))); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff([]int{0, 0, 0, 2}, []int{loaded[0].Position, loaded[1].Position, loaded[2].Position, loaded[3].Position}); diff != "" {
				t.Errorf("positions at loading: %s", diff)
			}
			p.sendByHand(t, n, 7)
			if err := n.Unload(t.Context(), false, loaded[1].ID, loaded[3].ID); err != nil {
				t.Fatal(err)
			}
			left := running(t, n)
			if diff := cmp.Diff([]string{"count", "pass"}, namesOf(left)); diff != "" {
				t.Error(diff)
			}
			if left[0].ID != loaded[2].ID || !left[0].CreatedAt.Equal(loaded[2].CreatedAt) || left[0].Metadata["owner"] != "net-team" {
				t.Errorf("the member that stays was %+v and is %+v", loaded[2], left[0])
			}
			if err := n.Unload(t.Context(), false, loaded[0].ID, loaded[2].ID); err != nil {
				t.Fatal(err)
			}
			if a := p.attached(t, config.PodSide); a.ProgramID != 0 {
				t.Errorf("with the last member gone the interface carries %s", a)
			}
			if err := n.Unload(t.Context(), false, loaded[0].ID); !errors.Is(err, state.ErrNoMember) {
				t.Errorf("unloading a second time: %v", err)
			}
			if again := p.load(t, n, "pass", 1); again.ID <= loaded[3].ID {
				t.Errorf("id %d after %d", again.ID, loaded[3].ID)
			}
			if _, err := n.UnloadAll(t.Context(), p.byHand("", 0).Place, false); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestLoadOfANameThatIsTaken(t *testing.T) {
	machineOnly(t)
	testenv.NoLeaks(t)
	n, p := Default(), newPod(t, 0)
	l := p.byHand("count", 10)
	l.Program.Name = "mine"
	m, err := n.Load(t.Context(), l)
	if err != nil {
		t.Fatal(err)
	}
	p.ContainerID = ""
	p.send(t, n, 2)
	before := p.listed(t, n)
	if _, err := n.Load(t.Context(), l); !errors.Is(err, chain.ErrInvalid) || !strings.Contains(err.Error(), fmt.Sprintf("member %d", m.ID)) {
		t.Errorf("a second one of its name: %v", err)
	}
	if diff := cmp.Diff(before, p.listed(t, n)); diff != "" {
		t.Error(diff)
	}
	p.unloadAll(t, n)
}

// sendByHand sends frames to a chain whose first member is a built-in count.
func (p *pod) sendByHand(t *testing.T, n *Node, count int) {
	t.Helper()
	p.Attachment.ContainerID = "" // as the owner cli has none
	p.send(t, n, count)
}

func TestUnloadOfOthers(t *testing.T) {
	testenv.NoLeaks(t)
	n, p := Default(), newPod(t, 0)
	p.apply(t, n, programs("count", "pass")...)
	p.load(t, n, "drop", 15)
	members := running(t, n)
	if err := n.Unload(t.Context(), false, members[2].ID, members[1].ID); !errors.Is(err, change.ErrOthers) || len(running(t, n)) != 3 {
		t.Errorf("of a pod's member: %v; %d members are left", err, len(running(t, n)))
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
	if diff := cmp.Diff([]string{"count", "drop", "pass"}, namesOf(running(t, n))); diff != "" {
		t.Error(diff)
	}
	p.remove(t, n)
	if diff := cmp.Diff([]string{"drop"}, namesOf(running(t, n))); diff != "" {
		t.Error(diff)
	}
	if taken, err := n.UnloadAll(t.Context(), p.byHand("", 0).Place, false); err != nil || !cmp.Equal(taken, []record.ID{members[1].ID}) {
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
	n, p := Default(), newPod(t, 0)
	if err := errors.Join(n.BPFFS.Ensure(), unix.Unmount(n.BPFFS.Root, 0)); err != nil {
		t.Fatal(err)
	}
	_, err := n.Load(t.Context(), p.byHand("pass", 1))
	if !errors.Is(err, pin.ErrNoBPFFS) || !strings.Contains(err.Error(), "ip netns exec") {
		t.Errorf("load: %v", err)
	}
	if mounted, err := n.BPFFS.Mounted(); mounted || err != nil {
		t.Errorf("a bpffs was mounted: %t, %v", mounted, err)
	}
	if err := n.BPFFS.Ensure(); err != nil {
		t.Fatal(err)
	}
	p.load(t, n, "pass", 1)
	if _, err := n.UnloadAll(t.Context(), p.byHand("", 0).Place, false); err != nil {
		t.Error(err)
	}
}
