// SPDX-License-Identifier: Apache-2.0

package libxdp

import (
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"github.com/xdp-chain/xdp-chain/internal/plugintest"
)

// Two UDP ports: xdp-filter is told to drop what goes to the second.
const (
	openPort   = 8080
	closedPort = 9999
)

// xdp-filter comes to our chain, filters, and goes.
func TestFilterJoinsOurChain(t *testing.T) {
	p := wired(t, 0)
	conf := twoOfOurs(t, p)
	p.Must(t, "ADD", conf)
	x := chainTools(t, p)
	x.filter(t)
	// 1.3.1 ends with an error behind the table that it prints whole.
	if out, _ := x.try("xdp-filter", "status"); !strings.Contains(out, p.Ifname) || !strings.Contains(out, fmt.Sprint(closedPort)) {
		t.Errorf("xdp-filter's status names neither the interface nor the port:\n%s", out)
	}
	wantFiltered(t, p, true)
	wantTrace(t, p, nil, "ae")
	p.Must(t, "CHECK", conf)
	x.run(t, "xdp-filter", "unload", p.Ifname)
	wantFiltered(t, p, false)
	wantMembers(t, x, "mark_a", "mark_e")
	p.Must(t, "CHECK", conf)
	p.Must(t, "DEL", conf)
}

// xdp-filter is there first; our chain comes and goes around it.
func TestWeJoinTheFilter(t *testing.T) {
	p := wired(t, 0)
	podTools(p).filter(t)
	conf := p.Chained(nil, marking(t, "a", 5), marking(t, "e", 40))
	p.Must(t, "ADD", conf)
	wantFiltered(t, p, true)
	wantTrace(t, p, nil, "ae")
	x := chainTools(t, p)
	p.Must(t, "DEL", conf)
	wantFiltered(t, p, true)
	x.run(t, "xdp-filter", "unload", p.Ifname)
	wantFiltered(t, p, false)
	vanish(t, p)
}

// filter has xdp-filter drop what goes to closedPort.
func (x tools) filter(t *testing.T) {
	t.Helper()
	x.run(t, "xdp-filter", "load", x.ifname, "-f", "udp")
	x.run(t, "xdp-filter", "port", fmt.Sprint(closedPort), "-p", "udp")
}

// wantFiltered sends a datagram to each port: the open one is reached in any case.
func wantFiltered(t *testing.T, p *plugintest.Pod, want bool) {
	t.Helper()
	if arrive(t, p, datagram(t, openPort)) == nil {
		t.Errorf("port %d is not reached", openPort)
	}
	if got := arrive(t, p, datagram(t, closedPort)) == nil; got != want {
		t.Errorf("port %d is filtered: %t, want %t", closedPort, got, want)
	}
}

// datagram is a frame with a UDP datagram over IPv4. Nobody looks at its checksums.
func datagram(t *testing.T, port uint16) []byte {
	t.Helper()
	const (
		ipv4Header = 20
		udpHeader  = 8
		udp        = 17
	)
	ethernet := newFrame(0x0800, nil)
	ip := make([]byte, ipv4Header)
	ip[0] = 4<<4 | ipv4Header/4
	binary.BigEndian.PutUint16(ip[2:], ipv4Header+udpHeader)
	ip[8], ip[9] = 64, udp
	copy(ip[12:], []byte{10, 88, 0, 1})
	copy(ip[16:], []byte{10, 88, 0, 2})
	header := make([]byte, udpHeader)
	binary.BigEndian.PutUint16(header, port)
	binary.BigEndian.PutUint16(header[2:], port)
	binary.BigEndian.PutUint16(header[4:], udpHeader)
	return append(append(ethernet.bytes(t)[:14:14], ip...), header...)
}
