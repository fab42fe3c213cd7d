// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/xdp-chain/xdp-chain/integration/bench/report"
)

// What the operator's command may take on a node full of chains, in ms.
const (
	listTarget   = 150
	statusTarget = 500
)

// commandLines are what is measured, the start of the process first.
var commandLines = []struct {
	args   string
	target float64 // 0: none
}{
	{"version", 0},
	{"list", listTarget},
	{"list -o json", 0},
	{"status", statusTarget},
}

// measureCommands makes many pods with chains, and sees how long the operator's command
// takes to show them, from its start to its end.
func measureCommands(ctx context.Context, z sizes) (_ *report.Section, err error) {
	c := newCrowd(sizes{}) // ours alone: what is compared reads them
	defer func() { err = errors.Join(err, c.remove()) }()
	for i := range z.crowd {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if err := c.join(z, i); err != nil {
			return nil, err
		}
	}
	ours, others, err := timeCommands(ctx, z)
	if err != nil {
		return nil, err
	}
	s := &report.Section{Name: "commands", Title: fmt.Sprintf("xdpctl with %d chains of 10, medians of %d", z.crowd, z.commandRounds)}
	start := s.Add("xdpctl "+commandLines[0].args, report.Milliseconds(ours[0].Median()), "ms")
	for i, line := range commandLines[1:] {
		f := s.Add("xdpctl "+line.args, report.Milliseconds(ours[i+1].Median()), "ms")
		f.Against(start)
		if line.target > 0 {
			f.Target(line.target)
		}
	}
	for i, took := range others {
		s.Add("xdpctl "+commandLines[i].args+byOther, report.Milliseconds(took.Median()), "ms")
	}
	for i, took := range others {
		addBuildRatio(s, "xdpctl "+commandLines[i].args, ours[i], took)
	}
	return s, c.clear(ctx)
}

// timeCommands runs all command lines again and again, in a new random order each round, of
// our build and of the one to compare with, if there is one.
func timeCommands(ctx context.Context, z sizes) (ours, others []report.Samples, err error) {
	n := len(commandLines)
	all, bins := make([]report.Samples, n), []string{z.bin}
	if z.against != "" {
		all, bins = make([]report.Samples, 2*n), append(bins, z.against)
	}
	for range z.commandRounds {
		for _, i := range rand.Perm(len(all)) {
			took, err := timeCommand(ctx, bins[i/n], commandLines[i%n].args)
			if err != nil {
				return nil, nil, err
			}
			all[i] = append(all[i], took)
		}
	}
	return all[:n], all[n:], nil
}

// timeCommand runs xdpctl, which must not tell of any error.
func timeCommand(ctx context.Context, bin, args string) (time.Duration, error) {
	cmd := exec.CommandContext(ctx, filepath.Join(bin, "xdpctl"), strings.Fields(args)...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	start := time.Now()
	err := cmd.Run()
	took := time.Since(start)
	if err == nil && errs.Len() > 0 {
		err = errors.New("it complains")
	}
	if err != nil {
		return 0, fmt.Errorf("xdpctl %s: %w: %s", args, err, errs.Bytes())
	}
	return took, nil
}
