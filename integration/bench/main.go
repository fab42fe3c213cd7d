// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"flag"
	"fmt"
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
}

// full is a run of a few minutes.
var full = sizes{podRounds: 60, packetRounds: 40, packetRepeat: 500_000, swaps: 1000, tcpRounds: 5, crowd: 500, crowdEnds: 20}

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
}

func main() {
	format := flag.String("o", "table", "what to print: table or json")
	flag.Usage = func() {
		fmt.Fprintln(flag.CommandLine.Output(), "usage: bench [-o table|json] [packets|pods|swaps|tcp|crowd]...")
		flag.PrintDefaults()
	}
	flag.Parse()
	if err := bench(*format, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func bench(format string, only []string) error {
	if format != "table" && format != "json" {
		return fmt.Errorf("-o %s: print table or json", format)
	}
	root, err := checkout()
	if err != nil {
		return err
	}
	if !sandbox.Inside() {
		if err := prepare(root); err != nil {
			return err
		}
	}
	if err := sandbox.Enter(); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), unix.SIGINT, unix.SIGTERM)
	defer stop()
	z := full
	z.bin = binDir(root)
	r, err := measure(ctx, z, only)
	if err != nil {
		return err
	}
	if format == "json" {
		return r.writeJSON(os.Stdout)
	}
	return r.writeTable(os.Stdout)
}

// measure makes the sections that are asked for, or all.
func measure(ctx context.Context, z sizes, only []string) (*report, error) {
	if err := installObject(); err != nil {
		return nil, err
	}
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
