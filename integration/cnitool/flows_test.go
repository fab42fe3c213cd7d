// SPDX-License-Identifier: Apache-2.0

package cnitool

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"

	"github.com/xdp-chain/xdp-chain/internal/plugintest"
	"github.com/xdp-chain/xdp-chain/internal/testenv"
)

// What the host sends to a pod in both families, and what the pod answers, is what
// xdpctl flows shows of the two sides: these flows and none else between the two, with
// as many packets as were sent.
func TestFlows(t *testing.T) {
	testenv.ShardByKernel(t, 1)
	testenv.NoLeaks(t)
	const echoes, tcpPort = 3, 8443
	list := pluginList(t, "bridge", "1.1.0", families[0], ours(nil, fields{"name": "flow-stats"}, fields{"name": "flow-stats", "side": "host"}))
	ipam := list["plugins"].([]fields)[0]["ipam"].(fields)
	ipam["ranges"] = append(ipam["ranges"].([][]fields), []fields{{"subnet": families[1].subnet, "gateway": families[1].gateway}})
	p := start(t, newLibcni(t, list))

	for _, f := range families {
		host, pod := netip.MustParseAddr(f.gateway), address(t, p, f)
		settle(t, host)
		reach(t, "", listen(t, p.NetNS, netip.AddrPortFrom(pod, openPort)))
		introduce(t, p, host, pod)
	}

	toPod, fromPod := map[string]uint64{}, map[string]uint64{}
	sofar := map[string]map[string]uint64{"pod": packets(t, p, "pod"), "host": packets(t, p, "host")}
	before := time.Now()
	for i, f := range families {
		host, pod := netip.MustParseAddr(f.gateway), address(t, p, f)
		ping(t, pod, echoes)
		icmp := []string{"icmp", "icmpv6"}[i]
		toPod[fmt.Sprintf("%s %s:0 %s:0", icmp, host, pod)] = echoes
		fromPod[fmt.Sprintf("%s %s:0 %s:0", icmp, pod, host)] = echoes

		port := upload(t, p, netip.AddrPortFrom(pod, tcpPort), 1000)
		toPod[fmt.Sprintf("tcp %s:%d %s:%d", host, port, pod, tcpPort)] = connection
		fromPod[fmt.Sprintf("tcp %s:%d %s:%d", pod, tcpPort, host, port)] = connection
	}
	for side, want := range map[string]map[string]uint64{"pod": toPod, "host": fromPod} {
		got := packets(t, p, side)
		for flow, count := range sofar[side] {
			if got[flow] -= count; got[flow] == 0 {
				delete(got, flow)
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("flows on side %s (-want +got):\n%s", side, diff)
		}
		for _, f := range p.FlowsOn(t, side).Flows {
			if f.Protocol == "tcp" && (f.FirstSeen.Before(before.Add(-time.Second)) || f.LastSeen.Before(f.FirstSeen) || f.LastSeen.After(time.Now().Add(time.Second))) {
				t.Errorf("%+v was seen at impossible times, it began at %v", f, before)
			}
		}
	}
}

// connection is what packets gives for a TCP connection: how many packets one takes is for
// the stacks to decide.
const connection = 1

// packets returns the packets of the flows between global addresses, by what tells flows
// apart.
func packets(t *testing.T, p *plugintest.Pod, side string) map[string]uint64 {
	t.Helper()
	found := map[string]uint64{}
	for _, f := range p.FlowsOn(t, side).Flows {
		if !f.Source.IsGlobalUnicast() || !f.Destination.IsGlobalUnicast() {
			continue
		}
		count := f.Packets
		// At least three: SYN, acknowledgements, FIN; with headers of 54 to 114 bytes each.
		if f.Protocol == "tcp" && count >= 3 && f.Bytes >= 54*count && f.Bytes <= 1000+114*count {
			count = connection
		}
		found[fmt.Sprintf("%s %s:%d %s:%d", f.Protocol, f.Source, f.SourcePort, f.Destination, f.DestinationPort)] = count
	}
	return found
}

// settle waits until an address of the host is found unique: before, the kernel would send
// from another.
func settle(t *testing.T, host netip.Addr) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		conn, err := net.ListenPacket("udp", netip.AddrPortFrom(host, 0).String())
		if err == nil {
			conn.Close()
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

// introduce tells host and pod each other's MAC for good, so that none of them asks by
// ICMPv6, which is of one flow with the test's.
func introduce(t *testing.T, p *plugintest.Pod, host, pod netip.Addr) {
	t.Helper()
	bridge, err := netlink.LinkByName("cni0")
	if err != nil {
		t.Fatal(err)
	}
	var eth0 netlink.Link
	p.Inside(t, func(h *netlink.Handle) error {
		if eth0, err = h.LinkByName(p.Ifname); err != nil {
			return err
		}
		return h.NeighSet(known(eth0, host, bridge.Attrs().HardwareAddr))
	})
	if err := netlink.NeighSet(known(bridge, pod, eth0.Attrs().HardwareAddr)); err != nil {
		t.Fatal(err)
	}
}

func known(on netlink.Link, ip netip.Addr, mac net.HardwareAddr) *netlink.Neigh {
	return &netlink.Neigh{LinkIndex: on.Attrs().Index, State: netlink.NUD_PERMANENT, IP: ip.AsSlice(), HardwareAddr: mac}
}

// ping sends echo requests of 56 bytes, as ping does, and waits for each one's reply.
func ping(t *testing.T, to netip.Addr, count int) {
	t.Helper()
	network, request, reply := "ip4:icmp", byte(8), byte(0)
	if to.Is6() {
		network, request, reply = "ip6:ipv6-icmp", 128, 129
	}
	conn, err := net.Dial(network, to.String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	message := make([]byte, 64)
	message[0] = request
	for i := range count {
		message[7] = byte(i) // sequence number
		// The kernel computes ICMPv6's checksum itself (RFC 3542, 3.1).
		binary.BigEndian.PutUint16(message[2:], 0)
		binary.BigEndian.PutUint16(message[2:], ^(uint16(request)<<8 + uint16(i)))
		if _, err := conn.Write(message); err != nil {
			t.Fatal(err)
		}
		for answer := make([]byte, 128); ; {
			// Unlike Read it leaves IPv4's header out.
			if _, _, err := conn.(net.PacketConn).ReadFrom(answer); err != nil {
				t.Fatalf("echo %d of %d to %s: %v", i+1, count, to, err)
			}
			if answer[0] == reply && answer[7] == byte(i) {
				break
			}
		}
	}
}

// upload sends bytes to the pod over a TCP connection, and returns the port on this
// side once both ends have closed it.
func upload(t *testing.T, p *plugintest.Pod, to netip.AddrPort, size int) (port uint16) {
	t.Helper()
	var server net.Listener
	testenv.InNetNS(t, p.NetNS, func() (err error) {
		server, err = net.Listen("tcp", to.String())
		return err
	})
	defer server.Close()
	read := make(chan error, 1)
	go func() {
		conn, err := server.Accept()
		if err == nil {
			_, err = io.Copy(io.Discard, conn)
			conn.Close()
		}
		read <- err
	}()
	conn, err := net.DialTimeout("tcp", to.String(), 10*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_, err = conn.Write(make([]byte, size))
	if err == nil {
		err = conn.(*net.TCPConn).CloseWrite()
	}
	if err == nil {
		err = <-read
	}
	if err == nil {
		_, err = io.Copy(io.Discard, conn) // until the pod's end has closed, too
	}
	if err != nil {
		t.Fatal(err)
	}
	return netip.MustParseAddrPort(conn.LocalAddr().String()).Port()
}
