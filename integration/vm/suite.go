// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/xdp-chain/xdp-chain/integration/vm/script"
)

// suites are the packages whose tests are about the kernel, so that each of the
// lab's has to pass them.
var suites = []string{
	"./bpf/...",
	"./internal/...",
	"./pkg/...",
	"./plugins/...",
	"./cmd/...",
	"./integration/bench",
	"./integration/cnitool",
	"./integration/libxdp",
}

// ofNoKernel are packages among them whose tests would tell the same in each kernel.
var ofNoKernel = []string{
	"internal/mountinfo", "internal/schematest", "internal/strict", "internal/trusted", "internal/whole",
	"pkg/catalog", "pkg/chain", "pkg/netconf", "pkg/record",
}

// suite is the tests of one package.
type suite struct {
	pkg    string // relative to the checkout: pkg/node
	binary string
}

// shares parts suites among guests of one kernel, so that several of them are never
// waited for by one: the black-box suites take about as long as all others, and begin
// first. Without suites there is one guest, for a command.
func shares(all []suite) [][]suite {
	var inside, outside []suite
	for _, s := range all {
		if strings.HasPrefix(s.pkg, "integration/") {
			outside = append(outside, s)
		} else {
			inside = append(inside, s)
		}
	}
	if len(inside) == 0 || len(outside) == 0 {
		return [][]suite{all}
	}
	return [][]suite{outside, inside}
}

// buildSuites builds the test binaries of packages, of those that are ofNoKernel only where
// they are named themselves. They are static, as the guest has
// another libc or none.
func (l *lab) buildSuites(ctx context.Context, patterns []string) (built []suite, err error) {
	if len(patterns) == 0 {
		return nil, nil // go list would take it for the current folder
	}
	const withTests = `{{if or .TestGoFiles .XTestGoFiles}}{{.Dir}}{{end}}`
	list := exec.CommandContext(ctx, "go", append([]string{"list", "-f", withTests}, patterns...)...)
	list.Dir = l.checkout
	dirs, err := list.Output()
	if err != nil {
		return nil, fmt.Errorf("listing %s: %w", strings.Join(patterns, " "), withStderr(err))
	}
	for dir := range strings.FieldsSeq(string(dirs)) {
		pkg, err := filepath.Rel(l.checkout, dir)
		if err != nil {
			return nil, err
		}
		if slices.Contains(ofNoKernel, pkg) && !slices.Contains(patterns, "./"+pkg) {
			continue
		}
		s := suite{pkg, filepath.Join(l.bin, strings.ReplaceAll(pkg, "/", "-")+".test")}
		if err := l.goCommand(ctx, "test", "-c", "-ldflags=-s -w", "-o", s.binary, "./"+pkg); err != nil {
			return nil, err
		}
		built = append(built, s)
	}
	return built, nil
}

// buildCommands builds the guest's first process, and the binaries of this project as
// make build does.
func (l *lab) buildCommands(ctx context.Context) error {
	return l.goCommand(ctx, "build", "-trimpath", "-ldflags=-s -w", "-o", l.bin+"/",
		"./integration/vm/guest", "./plugins/meta/xdp-chain", "./cmd/xdpctl")
}

func (l *lab) goCommand(ctx context.Context, args ...string) error {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = l.checkout
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go %s: %w:\n%s", strings.Join(args, " "), err, bytes.TrimSpace(out))
	}
	return nil
}

// withStderr adds to the error of a command what it complained about.
func withStderr(err error) error {
	if exit, ok := err.(*exec.ExitError); ok {
		return fmt.Errorf("%w: %s", err, bytes.TrimSpace(exit.Stderr))
	}
	return err
}

// name is the test binary's path in a guest: in the package's folder, where its
// testdata is.
func (s suite) name() string { return path.Join(guestRoot, s.pkg, path.Base(s.pkg)+".test") }

// step runs the tests of a suite, the short way if args do not ask otherwise.
func (s suite) step(args []string) script.Step {
	return script.Step{
		Name: s.pkg,
		Dir:  path.Dir(s.name()),
		Argv: slices.Concat([]string{s.name(), "-test.short", "-test.timeout=10m"}, args),
	}
}
