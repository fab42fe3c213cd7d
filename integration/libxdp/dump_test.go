// SPDX-License-Identifier: Apache-2.0

package libxdp

import (
	"bufio"
	"context"
	"io"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

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
	ctx, cancel := context.WithTimeout(context.Background(), patience)
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
