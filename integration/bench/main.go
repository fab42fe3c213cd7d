// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/xdp-chain/xdp-chain/integration/bench/insns"
	"github.com/xdp-chain/xdp-chain/integration/bench/report"
	"github.com/xdp-chain/xdp-chain/integration/bench/workload"
	"github.com/xdp-chain/xdp-chain/internal/sandbox"
)

// sizes say how much is measured, and where the plugins are.
type sizes struct {
	bin     string
	against string // where the binaries of the build to compare with are; empty: there is none

	podRounds    int
	packetRounds int
	packetRepeat int
	swaps        int
	tcpRounds    int
	crowd        int // pods alive at once
	crowdEnds    int // how many of the first and of the last are compared
	burst        int // pods that come at once
	burstRounds  int

	annotationRounds int

	loadsFirst    int // loads before it is seen what grows
	loads         int
	commandRounds int
}

// full is a run of a few minutes.
var full = sizes{podRounds: 60, packetRounds: 40, packetRepeat: 500_000, swaps: 1000, tcpRounds: 5, crowd: 500, crowdEnds: 20, burst: 30, burstRounds: 10, annotationRounds: 100, loadsFirst: 100, loads: 1000, commandRounds: 20}

// measurements are the sections of a report.
var measurements = []struct {
	name     string
	measure  func(context.Context, sizes) (*report.Section, error)
	compares bool // with another build, too
}{
	{"packets", measurePackets, false},
	{"pods", measurePods, true},
	{"swaps", measureSwaps, false},
	{"tcp", measureTCP, false},
	{"crowd", measureCrowd, true},
	{"burst", measureBurst, false},
	{"annotation", measureAnnotation, false},
	{"loads", measureLoads, false},
	{"commands", measureCommands, true},
}

func main() {
	format := flag.String("o", "table", "what to print: table or json")
	against := flag.String("against", "", "`folder` with the binaries xdp-chain and xdpctl of another build, to compare with")
	flag.Usage = func() {
		fmt.Fprintln(flag.CommandLine.Output(), "usage: bench [-o table|json] [packets|pods|swaps|tcp|crowd|burst|annotation|loads|commands]...\n       bench [-o table|json] -against DIR [pods|crowd|commands]...\n       bench [-o table|json] insns")
		flag.PrintDefaults()
	}
	flag.Parse()
	if err := bench(*format, *against, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// printable is what a run ends with.
type printable interface {
	WriteTable(io.Writer) error
	WriteJSON(io.Writer) error
}

func bench(format, against string, only []string) error {
	if format != "table" && format != "json" {
		return fmt.Errorf("-o %s: print table or json", format)
	}
	if against != "" {
		var err error
		if against, only, err = checkAgainst(against, only); err != nil {
			return fmt.Errorf("-against: %w", err)
		}
	}
	ctx, stop := signal.NotifyContext(context.Background(), unix.SIGINT, unix.SIGTERM)
	defer stop()
	measure := measureSections
	if slices.Equal(only, []string{"insns"}) {
		measure = measureInstructions
	}
	r, err := measure(ctx, against, only)
	if err != nil {
		return err
	}
	if format == "json" {
		return r.WriteJSON(os.Stdout)
	}
	return r.WriteTable(os.Stdout)
}

// checkAgainst returns the folder of another build, absolute, and the sections in which it
// can be compared: those that were asked for, or all.
func checkAgainst(dir string, only []string) (string, []string, error) {
	var can []string
	for _, m := range measurements {
		if m.compares {
			can = append(can, m.name)
		}
	}
	for _, name := range only {
		if !slices.Contains(can, name) {
			return "", nil, fmt.Errorf("section %s does not compare builds; %s do", name, strings.Join(can, ", "))
		}
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", nil, err
	}
	for _, name := range []string{"xdp-chain", "xdpctl"} {
		if _, err := exec.LookPath(filepath.Join(dir, name)); err != nil {
			return "", nil, fmt.Errorf("it takes a folder with the binaries xdp-chain and xdpctl: %w", err)
		}
	}
	if len(only) == 0 {
		only = can
	}
	return dir, only, nil
}

// measureInstructions needs nothing but this binary: it runs in the lab, where
// nothing is built.
func measureInstructions(ctx context.Context, _ string, _ []string) (printable, error) {
	if err := sandbox.Enter(); err != nil {
		return nil, err
	}
	return insns.Measure(ctx)
}

// measureSections makes the sections that are asked for, or all.
func measureSections(ctx context.Context, against string, only []string) (printable, error) {
	root, err := checkout()
	if err != nil {
		return nil, err
	}
	if !sandbox.Inside() {
		if err := prepare(root); err != nil {
			return nil, err
		}
	}
	if err := sandbox.Enter(); err != nil {
		return nil, err
	}
	if err := workload.InstallObjects(); err != nil {
		return nil, err
	}
	z := full
	z.bin, z.against = binDir(root), against
	r := &report.Report{Machine: report.ThisMachine()}
	for _, m := range measurements {
		if len(only) > 0 && !slices.Contains(only, m.name) {
			continue
		}
		fmt.Fprintln(os.Stderr, "measuring", m.name)
		s, err := m.measure(ctx, z)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", m.name, err)
		}
		r.Sections = append(r.Sections, s)
	}
	return r, nil
}

// checkout returns the root of the checkout that the program is run in.
func checkout() (string, error) {
	out, err := exec.Command("go", "env", "GOMOD").Output()
	if err != nil {
		return "", fmt.Errorf("go env GOMOD: %w", err)
	}
	return filepath.Dir(strings.TrimSpace(string(out))), nil
}

// prepare builds the plugins into the checkout's .cache/bin: other people's in the
// versions of go.mod, ours, the operator's command and the one that does nothing with the
// flags of `make build`. It may need the network, which the sandbox has not got.
func prepare(root string) error {
	bin := binDir(root)
	for _, args := range [][]string{
		{"hack/cni-plugins.sh"},
		{"go", "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w", "-o", bin + "/", "./plugins/meta/xdp-chain", "./cmd/xdpctl", "./integration/bench/nothing"},
	} {
		cmd := exec.Command(args[0], args[1:]...)
		cmd.Dir = root
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
		if err := cmd.Run(); err != nil {
			return fmt.Errorf("%s: %w", strings.Join(args, " "), err)
		}
	}
	return nil
}

func binDir(root string) string { return filepath.Join(root, ".cache", "bin") }
