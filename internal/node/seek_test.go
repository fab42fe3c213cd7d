// SPDX-License-Identifier: Apache-2.0

package node_test

import (
	"errors"
	"fmt"
	"os/exec"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/xdp-chain/xdp-chain/internal/config"
	"github.com/xdp-chain/xdp-chain/internal/node"
	"github.com/xdp-chain/xdp-chain/internal/node/nodetest"
	"github.com/xdp-chain/xdp-chain/internal/node/resolve"
	"github.com/xdp-chain/xdp-chain/internal/node/state"
	"github.com/xdp-chain/xdp-chain/internal/testenv"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
	"github.com/xdp-chain/xdp-chain/pkg/netdev"
)

// The chain is found by its interface's index, whatever that is called by now.
func TestRenamedInterface(t *testing.T) {
	testenv.KernelIndependent(t)
	nodetest.MachineOnly(t)
	testenv.NoLeaks(t)
	n, p := node.Default(), nodetest.NewPod(t, 0)
	m := p.Load(t, n, "pass", 10)
	testenv.InNetNS(t, p.NetNS, func() error {
		l, err := netlink.LinkByName("eth0")
		if err == nil {
			err = errors.Join(netlink.LinkSetDown(l), netlink.LinkSetName(l, "wan"), netlink.LinkSetUp(l))
		}
		return err
	})
	p.Ifname = "wan"
	p.Load(t, n, "drop", 20)
	if c := p.Chain(t, n, config.PodSide); c.Interface != "wan" || len(c.Members) != 2 || c.Members[0].ID != m.ID {
		t.Errorf("%+v", c)
	}
	p.UnloadAll(t, n)
}

// The path of a namespace may be that of a process which ends while another one keeps the
// namespace: then neither is the chain dead, nor are its members out of reach.
func TestPathOfANamespaceThatEnds(t *testing.T) {
	for _, way := range nodetest.ManualWays() {
		t.Run(way.String(), func(t *testing.T) {
			p := way.Pod(t)
			testenv.NoLeaks(t)
			n := node.Default()
			first, second := sleepIn(t, p.NetNS), sleepIn(t, p.NetNS)
			testenv.RemoveNetNS(t, p.NetNS)
			p.NetNS = fmt.Sprintf("/proc/%d/ns/net", first.Process.Pid)
			m := p.Load(t, n, "pass", 10)
			end(t, first)
			p.NetNS = fmt.Sprintf("/proc/%d/ns/net", second.Process.Pid)
			nodetest.Sweep(t, n)
			p.Load(t, n, "drop", 20)
			if got := p.Chain(t, n, config.PodSide); got == nil || got.NetNS != p.NetNS || len(got.Members) != 2 {
				t.Errorf("the chain is %+v", got)
			}
			end(t, second)
			awaitEnd(t, p)
			if err := n.Unload(t.Context(), false, m.ID); err != nil && !errors.Is(err, state.ErrNoMember) {
				t.Error(err)
			}
			nodetest.Sweep(t, n)
		})
	}
}

// awaitEnd waits until the kernel has taken the pod's namespace down, which takes its time.
func awaitEnd(t *testing.T, p *nodetest.Pod) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		if _, err := netlink.LinkByName(p.Host); err != nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("the namespace is still there")
		}
	}
}

// sleepIn starts a process that does nothing in a network namespace.
func sleepIn(t *testing.T, path string) *exec.Cmd {
	t.Helper()
	command := exec.Command("sleep", "1000")
	testenv.InNetNS(t, path, command.Start)
	t.Cleanup(func() { end(t, command) })
	return command
}

func end(t *testing.T, command *exec.Cmd) {
	t.Helper()
	if command.ProcessState == nil {
		command.Process.Kill()
		command.Wait()
	}
}

// An interface takes its chain along to another namespace. Its members can be taken off there
// all at once; what would change the chain is refused.
func TestMovedInterface(t *testing.T) {
	for _, way := range nodetest.ManualWays() {
		t.Run(way.String(), func(t *testing.T) {
			p := way.Pod(t)
			elsewhere := testenv.NewNetNS(t)
			testenv.NoLeaks(t)
			n := node.Default()
			first, second := p.Load(t, n, "pass", 10), p.Load(t, n, "pass", 20)
			p.MoveTo(t, elsewhere)
			nodetest.Sweep(t, n)
			if a := p.Attached(t, config.PodSide); a.ProgramID == 0 {
				t.Fatal("the chain did not move along")
			}
			if err := n.Unload(t.Context(), false, first.ID); !errors.Is(err, netdev.ErrUnsupported) {
				t.Errorf("one of two: %v", err)
			}
			if _, err := n.Replace(t.Context(), first.ID, resolve.Replacement{Entry: "drop"}); !errors.Is(err, netdev.ErrUnsupported) {
				t.Errorf("a replacement: %v", err)
			}
			if _, err := n.Load(t.Context(), p.Manual("pass", 1)); !errors.Is(err, netdev.ErrBusy) && way.Dispatcher == chain.DispatcherLinked {
				t.Errorf("a load where it is now: %v", err)
			}
			if err := n.Unload(t.Context(), false, first.ID, second.ID); err != nil {
				t.Error(err)
			}
			p.WantNothing(t, config.PodSide)
		})
	}
}

// Commands for an interface that is gone say so, and leave nothing.
func TestInterfaceThatIsGone(t *testing.T) {
	testenv.KernelIndependent(t)
	for _, way := range nodetest.ManualWays() {
		t.Run(way.String(), func(t *testing.T) {
			p := way.Pod(t)
			testenv.NoLeaks(t)
			n := node.Default()
			first := p.Load(t, n, "pass", 10)
			p.Load(t, n, "pass", 20)
			p.DeleteVeth(t)
			if _, err := n.Replace(t.Context(), first.ID, resolve.Replacement{Entry: "drop"}); !errors.Is(err, netdev.ErrNoInterface) {
				t.Errorf("a replacement: %v", err)
			}
			if _, err := n.Load(t.Context(), p.Manual("pass", 1)); !errors.Is(err, netdev.ErrNoInterface) {
				t.Errorf("a load: %v", err)
			}
			if err := n.Unload(t.Context(), false, first.ID); err != nil {
				t.Errorf("an unload, which takes the rest along: %v", err)
			}
		})
	}
}
