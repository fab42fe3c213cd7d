// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
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
	"github.com/xdp-chain/xdp-chain/internal/node/inspect"
	"github.com/xdp-chain/xdp-chain/internal/node/state"
	"github.com/xdp-chain/xdp-chain/internal/testenv"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
	"github.com/xdp-chain/xdp-chain/pkg/netdev"
)

// transmitting is a chain whose member answers pings.
func transmitting() []config.Program { return programs("icmp-echo") }

// gro tells whether GRO is on at an end of the pod's veth pair.
func (p *pod) gro(t *testing.T, side config.Side) bool {
	t.Helper()
	iface := p.open(t, side)
	defer iface.NetNS.Close()
	on, err := iface.GRO()
	if err != nil {
		t.Fatal(err)
	}
	return on
}

func (p *pod) setGRO(t *testing.T, side config.Side, on bool) {
	t.Helper()
	iface := p.open(t, side)
	defer iface.NetNS.Close()
	if err := iface.SetGRO(on); err != nil {
		t.Fatal(err)
	}
}

func (p *pod) wantGRO(t *testing.T, pod, host bool) {
	t.Helper()
	type ends struct{ Pod, Host bool }
	if diff := cmp.Diff(ends{pod, host}, ends{p.gro(t, config.PodSide), p.gro(t, config.HostSide)}); diff != "" {
		t.Errorf("GRO (-want +got):\n%s", diff)
	}
}

// polledPod is a pod with an address at each end and GRO off, on a kernel where GRO has
// a veth poll.
func polledPod(t *testing.T) *pod {
	t.Helper()
	testenv.NeedKernel(t, netdev.HaveGROPolling())
	return addressed(t)
}

const podAddress, hostAddress = "192.0.2.2", "192.0.2.1"

func addressed(t *testing.T) *pod {
	t.Helper()
	p := newPod(t, 0)
	for _, end := range []struct{ ns, link, address string }{{p.NetNS, p.Ifname, podAddress}, {"", p.host, hostAddress}} {
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
			n, p := Default(), polledPod(t)
			p.Attach = attach
			silenced(t, p.NetNS)
			if answersPings(t, "", podAddress) {
				t.Fatal("somebody answers without a chain")
			}
			p.apply(t, n, transmitting()...)
			p.wantGRO(t, false, true)
			p.check(t, n)
			if !answersPings(t, "", podAddress) {
				t.Error("no answer")
			}
			if c := p.chain(t, n, config.PodSide); c.PeerGRO != p.host {
				t.Errorf("listed with GRO at %q, want %q", c.PeerGRO, p.host)
			}
			rows := p.rows(t, n, config.PodSide)
			if !slices.Contains(rows, chain.Count{Member: "icmp-echo", Verdict: chain.VerdictTX, Packets: 3}) {
				t.Errorf("counts %v", rows)
			}

			// The member stays and others come and go.
			p.apply(t, n, programs("icmp-echo", "count")...)
			p.wantGRO(t, false, true)
			p.check(t, n)

			p.apply(t, n, programs("count")...)
			p.wantGRO(t, false, false)
			p.apply(t, n, transmitting()...)
			p.wantGRO(t, false, true)
			p.remove(t, n)
			p.wantGRO(t, false, false)
		})
	}
}

// A chain on each end turns GRO on at the other, and neither takes it from the other.
func TestPeerGROOfBothEnds(t *testing.T) {
	testenv.NoLeaks(t)
	n, p := Default(), polledPod(t)
	list := append(transmitting(), onHost(programs("icmp-echo")[0]))
	list[1].Globals = map[string]json.RawMessage{"mac": json.RawMessage(`"00:00:00:00:00:00"`), "address": json.RawMessage(`"` + hostAddress + `"`)}
	p.apply(t, n, list...)
	p.wantGRO(t, true, true)
	p.check(t, n)
	if !answersPings(t, "", podAddress) || !answersPings(t, p.NetNS, hostAddress) {
		t.Error("no answer")
	}
	p.apply(t, n, list[1])
	p.wantGRO(t, true, false)
	p.check(t, n)
	p.apply(t, n, list[0])
	p.wantGRO(t, false, true)
	p.remove(t, n)
	p.wantGRO(t, false, false)
}

func TestPeerGROThatWasOn(t *testing.T) {
	testenv.NoLeaks(t)
	n, p := Default(), polledPod(t)
	p.setGRO(t, config.HostSide, true)
	p.apply(t, n, transmitting()...)
	p.apply(t, n, append(transmitting(), programs("count")...)...)
	p.remove(t, n)
	p.wantGRO(t, false, true)
}

// GRO is left alone where it is not needed, or not wanted.
func TestPeerGROOffIsLeftAlone(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(p *pod)
		list   []config.Program
	}{
		{"nobody transmits", func(*pod) {}, programs("count")},
		{"off", func(p *pod) { p.PeerNapi = config.PeerNapiOff }, transmitting()},
		{"generic", func(p *pod) { p.Mode = chain.ModeGeneric }, transmitting()},
	} {
		t.Run(tt.name, func(t *testing.T) {
			testenv.NoLeaks(t)
			n, p := Default(), polledPod(t)
			tt.change(p)
			p.apply(t, n, tt.list...)
			p.wantGRO(t, false, false)
			p.check(t, n)
			p.setGRO(t, config.HostSide, true)
			p.remove(t, n)
			p.wantGRO(t, false, true)
		})
	}
}

// Where mode auto comes to be generic, GRO was on for the moment in between.
func TestPeerGROWhereAutoIsGeneric(t *testing.T) {
	testenv.NoLeaks(t)
	n, p := Default(), polledPod(t)
	p.deleteVeth(t)
	ns, err := netns.GetFromPath(p.NetNS)
	if err != nil {
		t.Fatal(err)
	}
	defer ns.Close()
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.NumTxQueues = p.host, 4 // more than the pod's end has to receive
	if err := netlink.LinkAdd(&netlink.Veth{LinkAttrs: attrs, PeerName: p.Ifname, PeerNamespace: netlink.NsFd(ns), PeerNumRxQueues: 2}); err != nil {
		t.Fatal(err)
	}
	p.apply(t, n, transmitting()...)
	if mode := p.attached(t, config.PodSide).Mode; mode != chain.ModeGeneric {
		t.Fatalf("mode %s", mode)
	}
	p.wantGRO(t, false, false)
	p.check(t, n)
	p.remove(t, n)
}

// In generic mode answers arrive without GRO, on every kernel.
func TestGenericNeedsNoPolling(t *testing.T) {
	testenv.NoLeaks(t)
	n, p := Default(), addressed(t)
	silenced(t, p.NetNS)
	p.Mode = chain.ModeGeneric
	p.apply(t, n, transmitting()...)
	if !answersPings(t, "", podAddress) {
		t.Error("no answer")
	}
	p.check(t, n)
	p.remove(t, n)
}

// Two owners share a chain: the last of them who transmits has GRO off again.
func TestPeerGROOfTwoOwners(t *testing.T) {
	testenv.NoLeaks(t)
	n, first := Default(), polledPod(t)
	second := *first
	second.Network = "other"
	first.apply(t, n, transmitting()...)
	second.apply(t, n, programs("count")...)
	first.wantGRO(t, false, true)
	first.remove(t, n)
	first.wantGRO(t, false, false)
	second.check(t, n)
	second.remove(t, n)
}

// CHECK names GRO that somebody turned off; an ADD turns it on again, and DEL does not
// mind.
func TestCheckNamesPeerGRO(t *testing.T) {
	testenv.NoLeaks(t)
	n, p := Default(), polledPod(t)
	p.apply(t, n, transmitting()...)
	p.setGRO(t, config.HostSide, false)
	err := n.Check(t.Context(), p.Attachment)
	if !errors.Is(err, state.ErrDiffers) || !strings.Contains(err.Error(), "GRO is off at "+p.host) {
		t.Errorf("check: %v", err)
	}
	p.apply(t, n, transmitting()...)
	p.wantGRO(t, false, true)
	p.check(t, n)
	p.setGRO(t, config.HostSide, false)
	p.remove(t, n)
	p.wantGRO(t, false, false)
}

func TestPeerGROWhereThePeerIsGone(t *testing.T) {
	for name, gone := range map[string]func(t *testing.T, p *pod){
		"the pair":      func(t *testing.T, p *pod) { p.deleteVeth(t) },
		"the namespace": func(t *testing.T, p *pod) { testenv.RemoveNetNS(t, p.NetNS) },
	} {
		t.Run(name, func(t *testing.T) {
			testenv.NoLeaks(t)
			n, p := Default(), polledPod(t)
			p.apply(t, n, append(transmitting(), onHost(programs("icmp-echo")[0]))...)
			gone(t, p)
			p.remove(t, n)
		})
	}
}

// The runtime may have unmounted the pod's namespace before DEL, while a process keeps it
// alive.
func TestPeerGROWhereThePathIsGone(t *testing.T) {
	testenv.NoLeaks(t)
	n, p := Default(), polledPod(t)
	kept, err := netdev.OpenNetNS(p.NetNS)
	if err != nil {
		t.Fatal(err)
	}
	defer kept.Close()
	p.apply(t, n, transmitting()...)
	testenv.RemoveNetNS(t, p.NetNS)
	p.remove(t, n)
	if p.gro(t, config.HostSide) {
		t.Error("GRO is still on at the host's end")
	}
}

// GRO is restored where the path by which the pod's namespace was named was a process's,
// which has ended since.
func TestPeerGROWhereTheProcessIsGone(t *testing.T) {
	testenv.NoLeaks(t)
	n, p := Default(), polledPod(t)
	mount := p.NetNS
	sleeper := exec.Command("sleep", "60")
	testenv.InNetNS(t, mount, sleeper.Start)
	end := sync.OnceFunc(func() {
		_ = sleeper.Process.Kill()
		_ = sleeper.Wait() // says that it was killed
	})
	defer end()
	p.NetNS = fmt.Sprintf("/proc/%d/ns/net", sleeper.Process.Pid)
	p.apply(t, n, onHost(transmitting()[0]))
	end()
	p.NetNS = mount
	p.wantGRO(t, true, false)
	p.remove(t, n)
	p.wantGRO(t, false, false)
}

// Where GRO does not make a veth poll, a native program at the other end does, in
// whichever order the two come.
func TestTransmittingToAProgram(t *testing.T) {
	if netdev.HaveGROPolling() == nil {
		testenv.NeedFreplace(t) // for the dispatcher that GRO does not do for
	}
	n, p := Default(), addressed(t)
	if netdev.HaveGROPolling() == nil {
		p.Dispatcher = chain.DispatcherLibxdp
	}
	silenced(t, p.NetNS)
	for _, side := range []config.Side{config.PodSide, config.HostSide} {
		p.setGRO(t, side, false) // which is on from the beginning on kernels before 5.13
	}
	testenv.NoLeaks(t)
	p.Programs = transmitting()
	if err := n.Apply(t.Context(), p.Attachment); !errors.Is(err, ebpf.ErrNotSupported) || !strings.Contains(err.Error(), p.host) {
		t.Errorf("with nothing at the other end: %v", err)
	}
	if list, err := inspect.List(n.Node); len(list) != 0 || err != nil {
		t.Errorf("left: %v, %v", list, err)
	}
	p.apply(t, n, append(transmitting(), onHost(programs("pass")[0]))...)
	p.check(t, n)
	if !answersPings(t, "", podAddress) {
		t.Error("no answer")
	}
	p.wantGRO(t, false, false)
	p.remove(t, n)
}

func TestKilledWithPeerGRO(t *testing.T) {
	n := Default()
	for _, tt := range []struct {
		name, body string
		way        way
		old, next  []config.Program // nil: none
		finishes   []finish
	}{
		{"first ADD", "apply", ways[0], nil, transmitting(), []finish{withDEL, withADD}},
		{"change to a chain that transmits", "apply", ways[1], programs("pass"), transmitting(), []finish{withADD, withDEL}},
		{"change to one that does not", "apply", ways[0], transmitting(), programs("pass"), []finish{withDEL, withADD}},
		{"DEL", "remove", ways[1], transmitting(), nil, []finish{withADD, withDEL}},
		{"GC", "gc", ways[0], transmitting(), nil, []finish{withGC, withADD}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := polledPod(t)
			p.Attach = tt.way.attach
			eachKill(t, tt.body, p.with(t, tt.next), func(t *testing.T) {
				p.setGRO(t, config.HostSide, false)
				if tt.old != nil {
					p.apply(t, n, tt.old...)
				}
			}, func(t *testing.T, then finish) {
				runs := p.attached(t, config.PodSide).ProgramID != 0
				if c := p.chain(t, n, config.PodSide); runs && c != nil && c.Members[0].Name == "icmp-echo" && !p.gro(t, config.HostSide) {
					t.Error("a chain that transmits runs, and GRO is off at the other end")
				}
				switch then {
				case withADD:
					p.apply(t, n, transmitting()...)
					p.check(t, n)
					p.wantGRO(t, false, true)
				case withGC:
					if err := n.GC(context.WithoutCancel(t.Context()), p.Network, nil, true); err != nil {
						t.Error(err)
					}
				}
				p.remove(t, n)
				p.wantGRO(t, false, false)
			}, tt.finishes...)
		})
	}
}

// What a killed ADD left is restored by the sweep too, which knows nothing of the pod.
func TestSweepRestoresPeerGRO(t *testing.T) {
	n := Default()
	p := polledPod(t)
	eachKill(t, "apply", p.with(t, transmitting()), func(t *testing.T) { p.setGRO(t, config.HostSide, false) }, func(t *testing.T, _ finish) {
		runs := p.chain(t, n, config.PodSide) != nil
		if err := n.Sweep(t.Context(), 16); err != nil {
			t.Error(err)
		}
		if !runs && p.attached(t, config.PodSide).ProgramID == 0 {
			p.wantGRO(t, false, false)
		}
		p.remove(t, n)
		p.wantGRO(t, false, false)
	}, withSweep)
}
