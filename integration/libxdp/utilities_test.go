// SPDX-License-Identifier: Apache-2.0

package libxdp

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

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

// xdpdump shows frames at the entry and at the exit of each member of our chain, and
// of the dispatcher.
func TestDumpOfOurChain(t *testing.T) {
	p := wired(t, 0)
	conf := twoOfOurs(t, p)
	p.Must(t, "ADD", conf)
	x := chainTools(t, p)
	list, _ := x.try("xdpdump", "-D") // 1.3.1 ends with status 1 when it has listed all
	for _, function := range []string{"xdp_dispatcher", "mark_a", "mark_e"} {
		if !strings.Contains(list, function) {
			t.Errorf("xdpdump -D does not show %s:\n%s", function, list)
		}
	}
	f := startFlood(t, p, "a")
	for program, exits := range map[string][]string{
		"mark_a":         {"PASS", "DROP"},
		"mark_e":         {"PASS"},
		"xdp_dispatcher": {"PASS", "DROP"},
	} {
		dump := x.dump(t, program)
		dump.until(t, program+"()@entry")
		for _, verdict := range exits {
			dump.until(t, program+"()@exit["+verdict+"]")
		}
		dump.stop(t)
	}
	f.end(t, p)
	p.Must(t, "CHECK", conf)
	p.Must(t, "DEL", conf)
}

// dump is a running xdpdump.
type dump struct {
	lines  *bufio.Reader
	wait   func() error
	signal func() error
}

// dump starts an xdpdump on one program of the interface and waits until it listens.
func (x tools) dump(t *testing.T, program string) *dump {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	t.Cleanup(cancel)
	cmd := x.command(ctx, "xdpdump", "-i", x.ifname, "-p", program, "--rx-capture=entry,exit")
	out, in := io.Pipe()
	cmd.Stdout, cmd.Stderr = in, in
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	d := &dump{
		lines:  bufio.NewReader(out),
		wait:   func() error { return cmd.Wait() },
		signal: func() error { return cmd.Process.Signal(unix.SIGINT) },
	}
	go func() {
		<-ctx.Done() // the pipe gives up with the test
		in.Close()
	}()
	d.until(t, "listening on")
	return d
}

// until reads what xdpdump prints until it has printed the text. It prints 4 KiB at a
// time.
func (d *dump) until(t *testing.T, text string) {
	t.Helper()
	var printed strings.Builder
	for {
		line, err := d.lines.ReadString('\n')
		printed.WriteString(line)
		if strings.Contains(line, text) {
			return
		}
		if err != nil {
			t.Fatalf("xdpdump does not print %q but\n%s", text, &printed)
		}
	}
}

// stop ends xdpdump as Ctrl-C does, and fails the test if it ends with an error.
func (d *dump) stop(t *testing.T) {
	t.Helper()
	if err := d.signal(); err != nil {
		t.Fatal(err)
	}
	go io.Copy(io.Discard, d.lines)
	if err := d.wait(); err != nil {
		t.Errorf("xdpdump: %v", err)
	}
}

// `xdp-loader clean` removes the pins of interfaces that it does not find. Run in
// another namespace it finds none of a pod's: that must not take the pod's chain
// apart.
func TestCleanElsewhere(t *testing.T) {
	p, other := wired(t, 0), plugintest.WiredPod(t, 0)
	confs := map[*plugintest.Pod]fields{p: twoOfOurs(t, p), other: twoOfOurs(t, other)}
	for pod, conf := range confs {
		pod.Must(t, "ADD", conf)
		chainTools(t, pod).load(t, "b", 20)
	}
	elsewhere := chainTools(t, other)
	for _, x := range []tools{{}, podTools(p), podTools(other), elsewhere} {
		x.run(t, "xdp-loader", "clean")
	}
	for pod, conf := range confs {
		wantTrace(t, pod, nil, "abe")
		pod.Must(t, "CHECK", conf)
		wantMembers(t, chainTools(t, pod), "mark_a", "mark_b", "mark_e")
	}
	for pod, conf := range confs {
		pod.Must(t, "DEL", conf)
		wantTrace(t, pod, nil, "b")
		vanish(t, pod)
	}
}

// Told to clean a pod's tree from another namespace it removes the pins. Our members
// go on, CHECK misses the pins, and ADD makes them again.
func TestCleanOfThePodsTreeElsewhere(t *testing.T) {
	p := wired(t, 0)
	conf := twoOfOurs(t, p)
	p.Must(t, "ADD", conf)
	x := chainTools(t, p)
	wrong := x
	wrong.netns = ""
	wrong.run(t, "xdp-loader", "clean")
	wantTrace(t, p, nil, "ae")
	wantTrace(t, p, verdicts{"a": drop}, "-")
	wantDifference(t, p, conf, "pins")
	p.Must(t, "ADD", conf)
	p.Must(t, "CHECK", conf)
	wantTrace(t, p, nil, "ae")
	wantMembers(t, x, "mark_a", "mark_e")
	wrong.run(t, "xdp-loader", "clean")
	p.Must(t, "DEL", conf)
	wantTrace(t, p, nil, "")
}
