// SPDX-License-Identifier: Apache-2.0

// Package library builds the programs of examples/, which are modules of their own, as
// somebody would who imports this one, and runs them on real interfaces.
package library

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/xdp-chain/xdp-chain/internal/testenv"
	"github.com/xdp-chain/xdp-chain/pkg/netdev"
)

func TestMain(m *testing.M) { testenv.Main(m) }

const (
	module   = "github.com/xdp-chain/xdp-chain/"
	examples = "../../examples"
	objects  = "../../bpf"
)

// goTool runs go in the module of an example, and returns what it prints.
func goTool(t *testing.T, example string, args ...string) []byte {
	t.Helper()
	cmd := exec.Command("go", args...)
	cmd.Dir = filepath.Join(examples, example)
	cmd.Env = append(cmd.Environ(), "CGO_ENABLED=0", "GOFLAGS=-mod=readonly -buildvcs=false")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go %s in %s: %v\n%s\nif a dependency has changed: go mod tidy there", strings.Join(args, " "), cmd.Dir, err, &stderr)
	}
	return out
}

// The compiler keeps other modules from our internal packages; what else is not in pkg/ is no
// library either.
func TestExamplesImportPkgAlone(t *testing.T) {
	list := json.NewDecoder(bytes.NewReader(goTool(t, "two-objects", "list", "-json=ImportPath,Imports", "./...")))
	ours := 0
	for {
		var p struct {
			ImportPath string
			Imports    []string
		}
		if err := list.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		for _, imported := range p.Imports {
			within, ok := strings.CutPrefix(imported, module)
			if !ok {
				continue
			}
			ours++
			if !strings.HasPrefix(within, "pkg/") {
				t.Errorf("%s imports %s", p.ImportPath, imported)
			}
		}
	}
	if ours == 0 {
		t.Error("nothing of ours is imported")
	}
	goTool(t, "two-objects", "vet", "./...")
}

// What the README shows is in an example that compiles.
func TestReadmeShowsTheExample(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	example, err := os.ReadFile(filepath.Join(examples, "two-objects/main.go"))
	if err != nil {
		t.Fatal(err)
	}
	_, shown, found := strings.Cut(string(readme), "```go\n")
	shown, _, closed := strings.Cut(shown, "```\n")
	if !found || !closed || !strings.Contains(string(example), shown) {
		t.Errorf("the Go code in README.md is not a part of examples/two-objects/main.go as it stands:\n%s", shown)
	}
}

// console is a program that somebody talks to by its standard input and output.
type console struct {
	t      *testing.T
	stdin  io.Writer
	stdout *bufio.Scanner
}

func start(t *testing.T, program string, args ...string) (c *console, wait func()) {
	t.Helper()
	cmd := exec.Command(program, args...)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() }) // where the test ends before it does
	return &console{t, stdin, bufio.NewScanner(stdout)}, func() {
		if err := cmd.Wait(); err != nil {
			t.Errorf("%s: %v\n%s", filepath.Base(program), err, &stderr)
		}
	}
}

// reads compares the next lines with what is wanted.
func (c *console) reads(want ...string) {
	c.t.Helper()
	var got []string
	for range want {
		if !c.stdout.Scan() {
			break
		}
		got = append(got, strings.TrimSpace(c.stdout.Text()))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		c.t.Fatalf("output (-want +got):\n%s", diff)
	}
}

func (c *console) enter() {
	c.t.Helper()
	if _, err := io.WriteString(c.stdin, "\n"); err != nil {
		c.t.Fatal(err)
	}
}

// awaitReceived waits until an interface has received so many frames in all, whatever its
// XDP program has done with them: a veth receives after the sender's call.
func awaitReceived(t *testing.T, ifname string, frames int) {
	t.Helper()
	path := filepath.Join("/sys/class/net", ifname, "statistics/rx_packets")
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if received, err := strconv.Atoi(strings.TrimSpace(string(text))); err != nil || received >= frames {
			if received != frames || err != nil {
				t.Fatalf("%s has received %s frames, want %d", ifname, text, frames)
			}
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s has received %s of %d frames", ifname, text, frames)
		}
	}
}

func TestTwoObjects(t *testing.T) {
	testenv.NoLeaks(t)
	program := filepath.Join(t.TempDir(), "two-objects")
	goTool(t, "two-objects", "build", "-o", program, ".")
	pod := testenv.NewNetNS(t)
	testenv.Veth(t, pod, "eth0", "host0", 0)
	send := func(n, inAll int) {
		frames := make([][]byte, n)
		for i := range frames {
			frames[i] = make([]byte, 64)
		}
		testenv.Send(t, pod, "eth0", frames...)
		awaitReceived(t, "host0", inAll)
	}

	c, wait := start(t, program, "host0", filepath.Join(objects, "count/count.o"), filepath.Join(objects, "drop/drop.o"))
	c.reads("host0 carries both, native; Enter takes the second one out")
	send(3, 3)
	c.enter()
	c.reads("second: 3 packets drop", "host0 carries the first alone; Enter takes the chain down")
	send(2, 5)
	c.enter()
	c.reads("(end): 2 packets pass")
	wait()

	here, err := netdev.CurrentNetNS()
	if err != nil {
		t.Fatal(err)
	}
	defer here.Close()
	iface, err := here.InterfaceByName("host0")
	if err != nil {
		t.Fatal(err)
	}
	if left, err := iface.Attached(); err != nil || left.ProgramID != 0 {
		t.Errorf("the interface still carries %v, %v", left, err)
	}
}
