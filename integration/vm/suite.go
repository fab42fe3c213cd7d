// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"

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
	"./integration/bench/...",
	"./integration/cnitool",
	"./integration/lessons",
	"./integration/libxdp",
}

// kernelIndependent are packages among them whose tests would tell the same in each kernel.
var kernelIndependent = []string{
	"integration/bench/report",
	"internal/catalog", "internal/config", "internal/enum", "internal/enum/enumgen", "internal/errs", "internal/files", "internal/jsonint", "internal/layout",
	"internal/mountinfo", "internal/node/resolve", "internal/record", "internal/schematest", "internal/strict", "pkg/chain",
}

// suite is the tests of one package.
type suite struct {
	pkg    string // relative to the checkout: internal/node
	binary string
}

// shares parts suites among guests of one kernel, so that the whole lab never waits for
// one of them. Those begin first that take longest: integration/libxdp, which takes as
// long as all packages that are tested from within. Without suites there is one guest,
// for a command.
func shares(all []suite) [][]suite {
	const (
		others = iota
		inside
		cnitool
	)
	var parts [cnitool + 1][]suite
	for _, s := range all {
		part := inside
		if s.pkg == "integration/cnitool" {
			part = cnitool
		} else if strings.HasPrefix(s.pkg, "integration/") {
			part = others
		}
		parts[part] = append(parts[part], s)
	}
	if len(all) == 0 {
		return [][]suite{nil}
	}
	return slices.DeleteFunc(parts[:], func(part []suite) bool { return len(part) == 0 })
}

// buildSuites builds the test binaries of packages, of those that are kernelIndependent
// only where they are named themselves. They are static, as the guest has another libc or
// none.
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
		if slices.Contains(kernelIndependent, pkg) && !slices.Contains(patterns, "./"+pkg) {
			continue
		}
		built = append(built, suite{pkg, filepath.Join(l.bin, strings.ReplaceAll(pkg, "/", "-")+".test")})
	}
	errs := make([]error, len(built))
	inParallel(runtime.NumCPU(), len(built), func(i int) { // most of a build is linking, in one thread
		errs[i] = l.goCommand(ctx, "test", "-c", "-ldflags=-s -w", "-o", built[i].binary, "./"+built[i].pkg)
	})
	return built, errors.Join(errs...)
}

// inParallel does n pieces of work, so many at a time, in their order.
func inParallel(atATime, n int, work func(i int)) {
	var all sync.WaitGroup
	slots := make(chan struct{}, atATime)
	for i := range n {
		slots <- struct{}{}
		all.Go(func() {
			defer func() { <-slots }()
			work(i)
		})
	}
	all.Wait()
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
		Argv: slices.Concat([]string{s.name(), "-test.short", "-test.timeout=20m"}, args),
	}
}
