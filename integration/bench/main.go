// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/xdp-chain/xdp-chain/internal/sandbox"
)

// sizes say how much is measured, and where the plugins are.
type sizes struct {
	bin string

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
	name    string
	measure func(context.Context, sizes) (*section, error)
}{
	{"packets", measurePackets},
	{"pods", measurePods},
	{"swaps", measureSwaps},
	{"tcp", measureTCP},
	{"crowd", measureCrowd},
	{"burst", measureBurst},
	{"annotation", measureAnnotation},
	{"loads", measureLoads},
	{"commands", measureCommands},
}

func main() {
	format := flag.String("o", "table", "what to print: table or json")
	flag.Usage = func() {
		fmt.Fprintln(flag.CommandLine.Output(), "usage: bench [-o table|json] [packets|pods|swaps|tcp|crowd|burst|annotation|loads|commands]...\n       bench [-o table|json] insns")
		flag.PrintDefaults()
	}
	flag.Parse()
	if err := bench(*format, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// printable is what a run ends with.
type printable interface {
	writeTable(io.Writer) error
	writeJSON(io.Writer) error
}

func bench(format string, only []string) error {
	if format != "table" && format != "json" {
		return fmt.Errorf("-o %s: print table or json", format)
	}
	ctx, stop := signal.NotifyContext(context.Background(), unix.SIGINT, unix.SIGTERM)
	defer stop()
	measure := measureSections
	if slices.Equal(only, []string{"insns"}) {
		measure = measureInstructions
	}
	r, err := measure(ctx, only)
	if err != nil {
		return err
	}
	if format == "json" {
		return r.writeJSON(os.Stdout)
	}
	return r.writeTable(os.Stdout)
}

// measureInstructions needs nothing but this binary: it runs in the lab, where
// nothing is built.
func measureInstructions(ctx context.Context, _ []string) (printable, error) {
	if err := sandbox.Enter(); err != nil {
		return nil, err
	}
	return measureInsns(ctx)
}

// measureSections makes the sections that are asked for, or all.
func measureSections(ctx context.Context, only []string) (printable, error) {
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
	if err := installObjects(); err != nil {
		return nil, err
	}
	z := full
	z.bin = binDir(root)
	r := &report{Machine: thisMachine()}
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
