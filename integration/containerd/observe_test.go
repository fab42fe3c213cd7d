// SPDX-License-Identifier: Apache-2.0

package containerd

import (
	"bytes"
	"encoding/json"
	"net"
	"net/netip"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/xdp-chain/xdp-chain/internal/testenv"
)

// Two UDP ports: an acl member of these suites' chains drops what goes to the second.
const (
	openPort   = 8080
	closedPort = 9999
)

// closing is an acl member that drops UDP to closedPort.
func closing() fields {
	return fields{"name": "acl", "priority": 10, "maps": fields{"rules": fields{"entries": []fields{
		{"key": 0, "value": fields{"protocol": "udp", "ports": fields{"first": closedPort}, "action": "deny"}},
	}}}}
}

// wantFiltered fails the test unless datagrams to the pod's open port reach it, those
// to its closed port do not, and the pod's chain says so.
func wantFiltered(t *testing.T, p *pod) {
	t.Helper()
	before := p.StatsOn(t, "pod")
	open, closed := listen(t, p, openPort), listen(t, p, closedPort)
	defer open.Close()
	defer closed.Close()
	send(t, p, closedPort, 7)
	send(t, p, openPort, 5)
	if got := received(t, open, 5); got != 5 {
		t.Errorf("%d of 5 datagrams reached the open port of %s", got, p.ip)
	}
	// What was sent before those is there by now, and a while later for certain.
	if got := received(t, closed, 0); got != 0 {
		t.Errorf("%d of 7 datagrams reached the closed port of %s, want none", got, p.ip)
	}
	if got := p.StatsOn(t, "pod").Packets("acl", "drop") - before.Packets("acl", "drop"); got != 7 {
		t.Errorf("stats say that acl dropped %d, want 7", got)
	}
}

// listen opens a UDP socket in the pod's network namespace.
func listen(t *testing.T, p *pod, port int) (conn net.PacketConn) {
	t.Helper()
	testenv.InNetNS(t, p.NetNS, func() (err error) {
		conn, err = net.ListenPacket("udp", net.JoinHostPort(p.ip, strconv.Itoa(port)))
		return err
	})
	return conn
}

// send sends datagrams to a port of the pod, from the host.
func send(t *testing.T, p *pod, port, count int) {
	t.Helper()
	// Not connected: where nobody listens, an ICMP answer would fail the next write.
	conn, err := net.ListenPacket("udp", "")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	to := net.UDPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(p.ip), uint16(port)))
	for range count {
		if _, err := conn.WriteTo([]byte("datagram"), to); err != nil {
			t.Fatalf("sending to %s: %v", to, err)
		}
	}
}

// received returns how many datagrams of those wanted arrive within a while.
func received(t *testing.T, conn net.PacketConn, want int) (count int) {
	t.Helper()
	timeout := 5 * time.Second // for the address to be resolved
	if want == 0 {
		timeout = 50 * time.Millisecond
	}
	if err := conn.SetReadDeadline(time.Now().Add(timeout)); err != nil {
		t.Fatal(err)
	}
	for count < want || want == 0 {
		if _, _, err := conn.ReadFrom(make([]byte, 64)); err != nil {
			return count
		}
		count++
	}
	return count
}

// call is one line of our plugin's logFile: a verb and how it ended.
type call struct {
	Verb        string
	ContainerID string
	Outcome     string // ok, error
	Code        uint
	Msg         string
	Details     string
	Duration    duration
}

// text is the error in full, as the CNI library hands it on.
func (c *call) text() string {
	if c.Details == "" {
		return c.Msg
	}
	return c.Msg + "; " + c.Details
}

// duration is how long a verb took, by its own clock.
type duration time.Duration

// UnmarshalText reads what time.Duration prints.
func (d *duration) UnmarshalText(text []byte) error {
	parsed, err := time.ParseDuration(string(text))
	*d = duration(parsed)
	return err
}

// calls lists the calls of a verb that have ended. Those for one pod have its id;
// "" is any pod's.
func calls(t *testing.T, verb, id string) (found []call) {
	t.Helper()
	content, err := os.ReadFile(pluginLog)
	if err != nil && !os.IsNotExist(err) { // nothing was called yet
		t.Fatal(err)
	}
	lines := json.NewDecoder(bytes.NewReader(content))
	for lines.More() {
		var c call
		if err := lines.Decode(&c); err != nil {
			t.Fatalf("reading the plugin's log: %v", err)
		}
		// Other lines, such as a warning, have no outcome.
		if c.Verb == verb && c.Outcome != "" && (id == "" || c.ContainerID == id) {
			found = append(found, c)
		}
	}
	return found
}
