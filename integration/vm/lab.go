// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/xdp-chain/xdp-chain/integration/vm/script"
)

// lab is where guests are made.
type lab struct {
	checkout string
	cache    string // in the checkout, where git does not look
	bin      string // binaries built for the guests, below dir
	dir      string // of this run alone
}

func newLab(ctx context.Context) (*lab, error) {
	out, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}").Output()
	if err != nil {
		return nil, fmt.Errorf("finding the checkout: %w", withStderr(err))
	}
	checkout := strings.TrimSpace(string(out))
	cache := filepath.Join(checkout, ".cache/vm")
	return &lab{checkout: checkout, cache: cache}, os.MkdirAll(cache, 0o755)
}

// guest is one kernel and what it is to run.
type guest struct {
	kernel
	options
	shard               string // which of the kernels this is, of how many: 1/3
	kernelDir, userland string
	suites              []suite
}

// run does what the command line asks for in each of the kernels, in several guests. Its
// status is that of the first kernel in which something failed.
func (l *lab) run(ctx context.Context, o options) (status int, err error) {
	if l.dir, err = os.MkdirTemp(l.cache, "run-"); err != nil {
		return 1, err
	}
	// A run that is killed leaves it there, for make clean.
	defer os.RemoveAll(l.dir)
	l.bin = filepath.Join(l.dir, "bin")
	guests, err := l.prepare(ctx, o)
	if err != nil {
		return 1, err
	}
	statuses, errs, failed := make([]int, len(guests)), make([]error, len(guests)), make([]failures, len(guests))
	// A guest is one thread. More guests than processors take longer in all: each test
	// that waits for the kernel then waits for other guests too.
	inParallel(runtime.NumCPU(), len(guests), func(i int) {
		output := io.Writer(os.Stdout)
		if len(guests) > 1 {
			failed[i].prefix = fmt.Sprintf("%-4s | ", guests[i].series)
			lines := &lineWriter{prefix: failed[i].prefix, to: io.MultiWriter(os.Stdout, &failed[i])}
			defer lines.flush()
			output = lines
		}
		statuses[i], errs[i] = l.runGuest(ctx, guests[i], output)
	})
	for _, f := range failed {
		fmt.Printf("%s", f.kept)
	}
	return cmp.Or(statuses...), errors.Join(errs...)
}

// prepare fetches and builds what the guests need.
func (l *lab) prepare(ctx context.Context, o options) ([]guest, error) {
	for _, command := range []string{"hack/need.sh qemu-system-x86_64", "hack/cni-plugins.sh"} {
		cmd := exec.CommandContext(ctx, "bash", "-c", command)
		cmd.Dir, cmd.Stdout, cmd.Stderr = l.checkout, os.Stderr, os.Stderr
		if err := cmd.Run(); err != nil {
			return nil, fmt.Errorf("%s: %w", command, err)
		}
	}
	userland, err := l.userland(ctx)
	if err != nil {
		return nil, err
	}
	var guests []guest
	for _, k := range o.kernels {
		dir, err := k.fetch(ctx, l)
		if err != nil && k.optional && ctx.Err() == nil {
			fmt.Fprintf(os.Stderr, "lab: kernel %s is left out: %v\n", k.series, err)
			continue
		}
		if err != nil {
			return nil, err
		}
		guests = append(guests, guest{kernel: k, options: o, kernelDir: dir, userland: userland})
	}
	if err := l.buildCommands(ctx); err != nil {
		return nil, err
	}
	suites, err := l.buildSuites(ctx, o.packages)
	var all []guest
	for _, share := range shares(suites) {
		for i, g := range slices.Backward(guests) { // the newest take longest
			g.suites = share
			g.shard = fmt.Sprintf("%d/%d", i, len(guests))
			all = append(all, g)
		}
	}
	return all, err
}

// runGuest boots one guest and says how it ended.
func (l *lab) runGuest(ctx context.Context, g guest, output io.Writer) (int, error) {
	start := time.Now()
	result, err := l.boot(ctx, g, output)
	fmt.Fprintf(os.Stderr, "lab: kernel %s took %.0f s\n", g.series, time.Since(start).Seconds())
	switch {
	case err != nil:
		return 1, fmt.Errorf("kernel %s: %w", g.series, err)
	case result.Status != 0:
		return result.Status, fmt.Errorf("kernel %s: failed with status %d: %s", g.series, result.Status, strings.Join(result.Failed, ", "))
	}
	return 0, nil
}

func (l *lab) boot(ctx context.Context, g guest, output io.Writer) (script.Result, error) {
	if ctx.Err() != nil {
		return script.Result{}, context.Cause(ctx)
	}
	dir, err := os.MkdirTemp(l.dir, g.series+"-")
	if err != nil {
		return script.Result{}, err
	}
	vmlinuz, err := vmlinuz(g.kernelDir)
	if err != nil {
		return script.Result{}, err
	}
	initrd := filepath.Join(dir, "initrd")
	if err := l.assemble(ctx, initrd, g); err != nil {
		return script.Result{}, fmt.Errorf("making the image: %w", err)
	}
	m := machine{vmlinuz: vmlinuz, initrd: initrd, dir: dir, cpus: g.cpus, icount: g.icount, limit: g.limit}
	return m.run(ctx, output)
}

// userlandSuite is where the guests' programs come from: Debian 12, whose xdp-tools
// are 1.3.1, the release that most machines have.
const userlandSuite = "bookworm"

// userlandPackages are the programs that tests run in a guest; those that they need
// come along. Busybox stands in for the rest.
var userlandPackages = []string{
	"bpftool",
	"busybox-static",
	"dash", // the shell; busybox's prefers its own applets to what is in PATH
	"iproute2",
	"iputils-ping",
	"util-linux", // nsenter, setpriv
	"xdp-tools",
}

// userland returns the folder with a root file system for the guests.
func (l *lab) userland(ctx context.Context) (string, error) {
	// Another list is another folder, so that nobody has to clear the cache.
	list := crc32.ChecksumIEEE([]byte(strings.Join(userlandPackages, " ")))
	return l.unpacked(ctx, fmt.Sprintf("userland-%s-%08x", userlandSuite, list), userlandSuite, func(ctx context.Context, a *apt) error {
		return a.download(ctx, true, userlandPackages...)
	})
}
