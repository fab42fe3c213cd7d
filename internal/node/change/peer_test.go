// SPDX-License-Identifier: Apache-2.0

package change_test

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"

	"github.com/xdp-chain/xdp-chain/internal/config"
	"github.com/xdp-chain/xdp-chain/internal/node"
	"github.com/xdp-chain/xdp-chain/internal/node/inspect"
	"github.com/xdp-chain/xdp-chain/internal/node/nodetest"
	"github.com/xdp-chain/xdp-chain/internal/node/state"
	"github.com/xdp-chain/xdp-chain/internal/testenv"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
	"github.com/xdp-chain/xdp-chain/pkg/netdev"
)

// transmitting is a chain whose member answers pings.
func transmitting() []config.Program { return nodetest.Programs("icmp-echo") }

// gro tells whether GRO is on at an end of the pod's veth pair.
func gro(t *testing.T, p *nodetest.Pod, side config.Side) bool {
	t.Helper()
	iface := p.Open(t, side)
	defer iface.NetNS.Close()
	on, err := iface.GRO()
	if err != nil {
		t.Fatal(err)
	}
	return on
}

func setGRO(t *testing.T, p *nodetest.Pod, side config.Side, on bool) {
	t.Helper()
	iface := p.Open(t, side)
	defer iface.NetNS.Close()
	if err := iface.SetGRO(on); err != nil {
		t.Fatal(err)
	}
}

func wantGRO(t *testing.T, p *nodetest.Pod, pod, host bool) {
	t.Helper()
	type ends struct{ Pod, Host bool }
	if diff := cmp.Diff(ends{pod, host}, ends{gro(t, p, config.PodSide), gro(t, p, config.HostSide)}); diff != "" {
		t.Errorf("GRO (-want +got):\n%s", diff)
	}
}

// polledPod is a pod with an address at each end and GRO off, on a kernel where GRO has
// a veth poll.
func polledPod(t *testing.T) *nodetest.Pod {
	t.Helper()
	testenv.NeedKernel(t, netdev.HaveGROPolling())
	return addressed(t)
}

const podAddress, hostAddress = "192.0.2.2", "192.0.2.1"

func addressed(t *testing.T) *nodetest.Pod {
	t.Helper()
	p := nodetest.NewPod(t, 0)
	for _, end := range []struct{ ns, link, address string }{{p.NetNS, p.Ifname, podAddress}, {"", p.Host, hostAddress}} {
		testenv.InNetNS(t, end.ns, func() error {
			l, err := netlink.LinkByName(end.link)
			if err != nil {
				return err
			}
			return netlink.AddrAdd(l, &netlink.Addr{IPNet: &net.IPNet{IP: net.ParseIP(end.address), Mask: net.CIDRMask(30, 32)}})
		})
	}
	return p
}

// answersPings tells whether three pings from a namespace are all answered.
func answersPings(t *testing.T, from, address string) bool {
	t.Helper()
	answered := 0
	testenv.InNetNS(t, from, func() error {
		socket, err := net.ListenPacket("ip4:icmp", "0.0.0.0")
		if err != nil {
			return err
		}
		defer socket.Close()
		for sequence := range 3 {
			if err := ping(socket, address, byte(sequence)); err != nil {
				return err
			}
			if !isAnswered(socket, byte(sequence)) {
				return nil
			}
			answered++
		}
		return nil
	})
	return answered == 3
}

func ping(socket net.PacketConn, address string, sequence byte) error {
	request := []byte{8, 0, 0, 0, 0x12, 0x34, 0, sequence}
	var sum uint32
	for i := 0; i < len(request); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(request[i:]))
	}
	binary.BigEndian.PutUint16(request[2:], ^uint16(sum+sum>>16))
	_, err := socket.WriteTo(request, &net.IPAddr{IP: net.ParseIP(address)})
	return err
}

// isAnswered waits for the answer, which the kernel hands over with any other ICMP.
func isAnswered(socket net.PacketConn, sequence byte) bool {
	answer := make([]byte, 100)
	for socket.SetReadDeadline(time.Now().Add(time.Second)) == nil {
		n, _, err := socket.ReadFrom(answer)
		if err != nil {
			return false
		}
		if n == 8 && answer[0] == 0 && answer[7] == sequence {
			return true
		}
	}
	return false
}

// silenced keeps the kernel of a namespace from answering pings itself.
func silenced(t *testing.T, ns string) {
	t.Helper()
	testenv.InNetNS(t, ns, func() error { return os.WriteFile("/proc/sys/net/ipv4/icmp_echo_ignore_all", []byte("1"), 0) })
}

func TestPeerGRO(t *testing.T) {
	for _, attach := range []chain.Attach{chain.AttachLink, chain.AttachNetlink} {
		t.Run(attach.String(), func(t *testing.T) {
			testenv.NoLeaks(t)
			n, p := node.Default(), polledPod(t)
			p.Attach = attach
			silenced(t, p.NetNS)
			if answersPings(t, "", podAddress) {
				t.Fatal("somebody answers without a chain")
			}
			p.Apply(t, n, transmitting()...)
			wantGRO(t, p, false, true)
			p.Check(t, n)
			if !answersPings(t, "", podAddress) {
				t.Error("no answer")
			}
			if c := p.Chain(t, n, config.PodSide); c.PeerGRO != p.Host {
				t.Errorf("listed with GRO at %q, want %q", c.PeerGRO, p.Host)
			}
			rows := p.Rows(t, n, config.PodSide)
			if !slices.Contains(rows, chain.Count{Member: "icmp-echo", Verdict: chain.VerdictTX, Packets: 3}) {
				t.Errorf("counts %v", rows)
			}

			// The member stays and others come and go.
			p.Apply(t, n, nodetest.Programs("icmp-echo", "count")...)
			wantGRO(t, p, false, true)
			p.Check(t, n)

			p.Apply(t, n, nodetest.Programs("count")...)
			wantGRO(t, p, false, false)
			p.Apply(t, n, transmitting()...)
			wantGRO(t, p, false, true)
			p.Remove(t, n)
			wantGRO(t, p, false, false)
		})
	}
}

// A chain on each end turns GRO on at the other, and neither takes it from the other.
func TestPeerGROOfBothEnds(t *testing.T) {
	testenv.NoLeaks(t)
	n, p := node.Default(), polledPod(t)
	list := append(transmitting(), nodetest.OnHost(nodetest.At(10, "icmp-echo")))
	list[1].Globals = map[string]json.RawMessage{"mac": json.RawMessage(`"00:00:00:00:00:00"`), "address": json.RawMessage(`"` + hostAddress + `"`)}
	p.Apply(t, n, list...)
	wantGRO(t, p, true, true)
	p.Check(t, n)
	if !answersPings(t, "", podAddress) || !answersPings(t, p.NetNS, hostAddress) {
		t.Error("no answer")
	}
	p.Apply(t, n, list[1])
	wantGRO(t, p, true, false)
	p.Check(t, n)
	p.Apply(t, n, list[0])
	wantGRO(t, p, false, true)
	p.Remove(t, n)
	wantGRO(t, p, false, false)
}

func TestPeerGROThatWasOn(t *testing.T) {
	testenv.NoLeaks(t)
	n, p := node.Default(), polledPod(t)
	setGRO(t, p, config.HostSide, true)
	p.Apply(t, n, transmitting()...)
	p.Apply(t, n, append(transmitting(), nodetest.Programs("count")...)...)
	p.Remove(t, n)
	wantGRO(t, p, false, true)
}

// GRO is left alone where it is not needed, or not wanted.
func TestPeerGROOffIsLeftAlone(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(p *nodetest.Pod)
		list   []config.Program
	}{
		{"nobody transmits", func(*nodetest.Pod) {}, nodetest.Programs("count")},
		{"off", func(p *nodetest.Pod) { p.PeerNapi = config.PeerNapiOff }, transmitting()},
		{"generic", func(p *nodetest.Pod) { p.Mode = chain.ModeGeneric }, transmitting()},
	} {
		t.Run(tt.name, func(t *testing.T) {
			testenv.NoLeaks(t)
			n, p := node.Default(), polledPod(t)
			tt.change(p)
			p.Apply(t, n, tt.list...)
			wantGRO(t, p, false, false)
			p.Check(t, n)
			setGRO(t, p, config.HostSide, true)
			p.Remove(t, n)
			wantGRO(t, p, false, true)
		})
	}
}

// Where mode auto comes to be generic, GRO was on for the moment in between.
func TestPeerGROWhereAutoIsGeneric(t *testing.T) {
	testenv.NoLeaks(t)
	n, p := node.Default(), polledPod(t)
	p.DeleteVeth(t)
	ns, err := netns.GetFromPath(p.NetNS)
	if err != nil {
		t.Fatal(err)
	}
	defer ns.Close()
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.NumTxQueues = p.Host, 4 // more than the pod's end has to receive
	if err := netlink.LinkAdd(&netlink.Veth{LinkAttrs: attrs, PeerName: p.Ifname, PeerNamespace: netlink.NsFd(ns), PeerNumRxQueues: 2}); err != nil {
		t.Fatal(err)
	}
	p.Apply(t, n, transmitting()...)
	if mode := p.Attached(t, config.PodSide).Mode; mode != chain.ModeGeneric {
		t.Fatalf("mode %s", mode)
	}
	wantGRO(t, p, false, false)
	p.Check(t, n)
	p.Remove(t, n)
}

// In generic mode answers arrive without GRO, on every kernel.
func TestGenericNeedsNoPolling(t *testing.T) {
	testenv.NoLeaks(t)
	n, p := node.Default(), addressed(t)
	silenced(t, p.NetNS)
	p.Mode = chain.ModeGeneric
	p.Apply(t, n, transmitting()...)
	if !answersPings(t, "", podAddress) {
		t.Error("no answer")
	}
	p.Check(t, n)
	p.Remove(t, n)
}

// Two owners share a chain: the last of them who transmits has GRO off again.
func TestPeerGROOfTwoOwners(t *testing.T) {
	testenv.NoLeaks(t)
	n, first := node.Default(), polledPod(t)
	second := *first
	second.Network = "other"
	first.Apply(t, n, transmitting()...)
	second.Apply(t, n, nodetest.Programs("count")...)
	wantGRO(t, first, false, true)
	first.Remove(t, n)
	wantGRO(t, first, false, false)
	second.Check(t, n)
	second.Remove(t, n)
}

// CHECK names GRO that somebody turned off; an ADD turns it on again, and DEL does not
// mind.
func TestCheckNamesPeerGRO(t *testing.T) {
	testenv.NoLeaks(t)
	n, p := node.Default(), polledPod(t)
	p.Apply(t, n, transmitting()...)
	setGRO(t, p, config.HostSide, false)
	err := n.Check(t.Context(), p.Attachment)
	if !errors.Is(err, state.ErrDiffers) || !strings.Contains(err.Error(), "GRO is off at "+p.Host) {
		t.Errorf("check: %v", err)
	}
	p.Apply(t, n, transmitting()...)
	wantGRO(t, p, false, true)
	p.Check(t, n)
	setGRO(t, p, config.HostSide, false)
	p.Remove(t, n)
	wantGRO(t, p, false, false)
}

func TestPeerGROWhereThePeerIsGone(t *testing.T) {
	for name, gone := range map[string]func(t *testing.T, p *nodetest.Pod){
		"the pair":      func(t *testing.T, p *nodetest.Pod) { p.DeleteVeth(t) },
		"the namespace": func(t *testing.T, p *nodetest.Pod) { testenv.RemoveNetNS(t, p.NetNS) },
	} {
		t.Run(name, func(t *testing.T) {
			testenv.NoLeaks(t)
			n, p := node.Default(), polledPod(t)
			p.Apply(t, n, append(transmitting(), nodetest.OnHost(nodetest.At(10, "icmp-echo")))...)
			gone(t, p)
			p.Remove(t, n)
		})
	}
}

// The runtime may have unmounted the pod's namespace before DEL, while a process keeps it
// alive.
func TestPeerGROWhereThePathIsGone(t *testing.T) {
	testenv.NoLeaks(t)
	n, p := node.Default(), polledPod(t)
	kept, err := netdev.OpenNetNS(p.NetNS)
	if err != nil {
		t.Fatal(err)
	}
	defer kept.Close()
	p.Apply(t, n, transmitting()...)
	testenv.RemoveNetNS(t, p.NetNS)
	p.Remove(t, n)
	if gro(t, p, config.HostSide) {
		t.Error("GRO is still on at the host's end")
	}
}

// GRO is restored where the path by which the pod's namespace was named was a process's,
// which has ended since.
func TestPeerGROWhereTheProcessIsGone(t *testing.T) {
	testenv.NoLeaks(t)
	n, p := node.Default(), polledPod(t)
	mount := p.NetNS
	sleeper := exec.Command("sleep", "60")
	testenv.InNetNS(t, mount, sleeper.Start)
	end := sync.OnceFunc(func() {
		_ = sleeper.Process.Kill()
		_ = sleeper.Wait() // says that it was killed
	})
	defer end()
	p.NetNS = fmt.Sprintf("/proc/%d/ns/net", sleeper.Process.Pid)
	p.Apply(t, n, nodetest.OnHost(transmitting()[0]))
	end()
	p.NetNS = mount
	wantGRO(t, p, true, false)
	p.Remove(t, n)
	wantGRO(t, p, false, false)
}

// Where GRO does not make a veth poll, a native program at the other end does, in
// whichever order the two come.
func TestTransmittingToAProgram(t *testing.T) {
	if netdev.HaveGROPolling() == nil {
		testenv.NeedFreplace(t) // for the dispatcher that GRO does not do for
	}
	n, p := node.Default(), addressed(t)
	if netdev.HaveGROPolling() == nil {
		p.Dispatcher = chain.DispatcherLibxdp
	}
	silenced(t, p.NetNS)
	for _, side := range []config.Side{config.PodSide, config.HostSide} {
		setGRO(t, p, side, false) // which is on from the beginning on kernels before 5.13
	}
	testenv.NoLeaks(t)
	p.Programs = transmitting()
	if err := n.Apply(t.Context(), p.Attachment); !errors.Is(err, ebpf.ErrNotSupported) || !strings.Contains(err.Error(), p.Host) {
		t.Errorf("with nothing at the other end: %v", err)
	}
	if list, err := inspect.List(n.Node); len(list) != 0 || err != nil {
		t.Errorf("left: %v, %v", list, err)
	}
	p.Apply(t, n, append(transmitting(), nodetest.OnHost(nodetest.At(10, "pass")))...)
	p.Check(t, n)
	if !answersPings(t, "", podAddress) {
		t.Error("no answer")
	}
	wantGRO(t, p, false, false)
	p.Remove(t, n)
}
