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
	c := new(crowd)
	defer func() { err = errors.Join(err, c.remove()) }()
	for i := range z.crowd {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if err := c.join(filepath.Join(z.bin, "xdp-chain"), i); err != nil {
			return nil, err
		}
	}
	took := make([]report.Samples, len(commandLines))
	for range z.commandRounds {
		for _, i := range rand.Perm(len(commandLines)) {
			one, err := timeCommand(ctx, z, commandLines[i].args)
			if err != nil {
				return nil, err
			}
			took[i] = append(took[i], one)
		}
	}
	s := &report.Section{Name: "commands", Title: fmt.Sprintf("xdpctl with %d chains of 10, medians of %d", z.crowd, z.commandRounds)}
	var start *report.Figure
	for i, line := range commandLines {
		f := s.Add("xdpctl "+line.args, report.Milliseconds(took[i].Median()), "ms")
		if line.target > 0 {
			f.Target(line.target)
		}
		if start == nil {
			start = f
		} else {
			f.Against(start)
		}
	}
	return s, c.clear(ctx)
}

// timeCommand runs xdpctl, which must not tell of any error.
func timeCommand(ctx context.Context, z sizes, args string) (time.Duration, error) {
	cmd := exec.CommandContext(ctx, filepath.Join(z.bin, "xdpctl"), strings.Fields(args)...)
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
