// SPDX-License-Identifier: Apache-2.0

package cnitool

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/xdp-chain/xdp-chain/internal/plugintest"
	"github.com/xdp-chain/xdp-chain/internal/testenv"
)

// Two UDP ports: the chains of these suites let one through and drop the other.
const (
	openPort   = 8080
	closedPort = 9999
)

// closing is an acl member that drops UDP to closedPort.
func closing(priority int) fields {
	return fields{"name": "acl", "priority": priority, "maps": fields{"rules": fields{"entries": []fields{
		{"key": 0, "value": fields{"protocol": "udp", "ports": fields{"first": closedPort}, "action": "deny"}},
	}}}}
}

// address returns the pod's global address of the family.
func address(t *testing.T, p *plugintest.Pod, f family) netip.Addr {
	t.Helper()
	subnet := netip.MustParsePrefix(f.subnet)
	var found netip.Addr
	p.Inside(t, func(h *netlink.Handle) error {
		link, err := h.LinkByName(p.Ifname)
		if err != nil {
			return err
		}
		addrs, err := h.AddrList(link, netlink.FAMILY_ALL)
		for _, a := range addrs {
			if ip, _ := netip.AddrFromSlice(a.IP); subnet.Contains(ip.Unmap()) {
				found = ip.Unmap()
			}
		}
		return err
	})
	if !found.IsValid() {
		t.Fatalf("%s has no address in %s", p.ID, f.subnet)
	}
	return found
}

// listener is a UDP socket that counts what reaches it.
type listener struct {
	conn net.PacketConn
	at   netip.AddrPort
}

// listen opens a UDP socket in a network namespace; "" is the host's.
func listen(t *testing.T, ns string, at netip.AddrPort) *listener {
	t.Helper()
	l := &listener{at: at}
	testenv.InNetNS(t, ns, func() (err error) {
		l.conn, err = net.ListenPacket("udp", at.String())
		return err
	})
	t.Cleanup(func() { l.conn.Close() })
	return l
}

// received returns how many datagrams with the text arrive until want have, or
// for a while where they do not.
func (l *listener) received(t *testing.T, text string, want int) (count int) {
	t.Helper()
	timeout := time.Second
	if want == 0 {
		timeout = 100 * time.Millisecond
	}
	if err := l.conn.SetReadDeadline(time.Now().Add(timeout)); err != nil {
		t.Fatal(err)
	}
	buffer := make([]byte, 64)
	for count < want || want == 0 {
		n, _, err := l.conn.ReadFrom(buffer)
		if os.IsTimeout(err) {
			return count
		}
		if err != nil {
			t.Fatal(err)
		}
		if string(buffer[:n]) == text {
			count++
		}
	}
	return count
}

// send sends datagrams out of a network namespace.
func send(t *testing.T, ns string, to netip.AddrPort, text string, count int) {
	t.Helper()
	testenv.InNetNS(t, ns, func() error {
		conn, err := net.Dial("udp", to.String())
		if err != nil {
			return err
		}
		defer conn.Close()
		for i := range count {
			// A closed port of the peer makes the next write fail: no test has one.
			if _, err := conn.Write([]byte(text)); err != nil {
				return fmt.Errorf("datagram %d of %d to %s: %w", i+1, count, to, err)
			}
		}
		return nil
	})
}

// reach sends single datagrams until one arrives: addresses are resolved, and an
// IPv6 address may have to be found unique first.
func reach(t *testing.T, from string, l *listener) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); {
		send(t, from, l.at, "hello?", 1)
		if err := l.conn.SetReadDeadline(time.Now().Add(50 * time.Millisecond)); err != nil {
			t.Fatal(err)
		}
		if _, _, err := l.conn.ReadFrom(make([]byte, 64)); err == nil {
			return
		}
	}
	t.Fatalf("nothing reaches %s", l.at)
}

// wantThrough sends datagrams and wants all of them there, or none.
func wantThrough(t *testing.T, from string, l *listener, count int, through bool) {
	t.Helper()
	want := 0
	if through {
		want = count
	}
	text := fmt.Sprintf("datagram to %s", l.at)
	send(t, from, l.at, text, count)
	if got := l.received(t, text, want); got != want {
		t.Errorf("%d of %d datagrams reached %s, want %d", got, count, l.at, want)
	}
}
