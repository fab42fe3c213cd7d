// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/xdp-chain/xdp-chain/integration/vm/script"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	status, err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "lab:", err)
	}
	os.Exit(status)
}

const usage = `usage: go run ./integration/vm [flags] [-- command arguments... | -packages LIST -- test flags...]

Boots Debian's kernels under QEMU and runs this checkout's tests in them, or a
command. Examples:

  go run ./integration/vm
  go run ./integration/vm -kernel 6.1 -packages "./pkg/node ./pkg/pin" -- -test.v -test.run Crash
  go run ./integration/vm -kernel 5.10 sh -c 'ip link; xdp-loader status'

A command starts in the checkout, which lies in ` + guestRoot + `.

`

// options are the command line.
type options struct {
	kernels  []kernel
	packages []string
	args     []string
	work     work
}

func parse(args []string) (options, error) {
	var o options
	flags := flag.NewFlagSet("vm", flag.ContinueOnError)
	flags.Usage = func() {
		fmt.Fprint(flags.Output(), usage)
		flags.PrintDefaults()
	}
	o.work.files = make(map[string]string)
	o.kernels = kernels
	flags.Func("kernel", "comma-separated `series`, of "+seriesOf(kernels)+" (default all)", func(list string) (err error) {
		o.kernels, err = kernelsOf(list)
		return err
	})
	flags.Func("packages", "packages whose tests to run; what follows the flags goes to the test binaries (default, without a command, "+strings.Join(suites, " ")+")", func(list string) error {
		o.packages = strings.Fields(list)
		return nil
	})
	flags.Func("file", "`host=guest`: put a file of the machine into the guest, below the checkout if the path is relative; may be repeated", func(pair string) error {
		from, to, ok := strings.Cut(pair, "=")
		if !ok || from == "" || to == "" {
			return errors.New("want host=guest")
		}
		if !path.IsAbs(to) {
			to = path.Join(guestRoot, to)
		}
		o.work.files[path.Clean(to)] = from
		return nil
	})
	flags.IntVar(&o.work.cpus, "cpus", 2, "of a guest")
	flags.BoolVar(&o.work.icount, "icount", false, "let the guest's clock count instructions, on one CPU: the same figures at every run")
	flags.DurationVar(&o.work.limit, "timeout", 20*time.Minute, "for each guest")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	o.args = flags.Args()
	if len(o.packages) == 0 && len(o.args) == 0 {
		o.packages = suites
	}
	if o.work.icount {
		o.work.cpus = 1
	}
	return o, nil
}

func seriesOf(list []kernel) string {
	var names []string
	for _, k := range list {
		names = append(names, k.series)
	}
	return strings.Join(names, ",")
}

func kernelsOf(list string) (found []kernel, err error) {
names:
	for name := range strings.SplitSeq(list, ",") {
		for _, k := range kernels {
			if k.series == name {
				found = append(found, k)
				continue names
			}
		}
		return nil, fmt.Errorf("no kernel %q: the lab has %s", name, seriesOf(kernels))
	}
	return found, nil
}

// run is the program; it returns its exit status.
func run(ctx context.Context, args []string) (int, error) {
	o, err := parse(args)
	if errors.Is(err, flag.ErrHelp) {
		return 0, nil
	}
	if err != nil {
		return 2, nil // the flag package has said it
	}
	if err := possible(); err != nil {
		if os.Getenv("CI") == "true" {
			return 1, err
		}
		return 0, fmt.Errorf("nothing was run: %w", err)
	}
	l, err := newLab(ctx)
	if err != nil {
		return 1, err
	}
	return l.runAll(ctx, o)
}

// possible says what keeps this machine from running the lab.
func possible() error {
	if runtime.GOOS != "linux" || runtime.GOARCH != "amd64" {
		return fmt.Errorf("the lab emulates amd64 with amd64's kernels; this is %s/%s", runtime.GOOS, runtime.GOARCH)
	}
	if _, err := debianCodename("/etc/os-release"); err != nil {
		return err
	}
	for _, name := range []string{"qemu-system-x86_64", "apt-get", "dpkg"} {
		if _, err := exec.LookPath(name); err != nil {
			return fmt.Errorf("%w; make lab installs it", err)
		}
	}
	return nil
}

// runAll does the work in each kernel.
func (l *lab) runAll(ctx context.Context, o options) (int, error) {
	dir, err := os.MkdirTemp(l.cache, "run-")
	if err != nil {
		return 1, err
	}
	defer os.RemoveAll(dir)
	bin := filepath.Join(dir, "bin")
	if err := l.buildCommands(ctx, bin); err != nil {
		return 1, err
	}
	if len(o.packages) == 0 {
		o.work.steps = []script.Step{{Name: o.args[0], Dir: guestRoot, Argv: o.args}}
	} else if o.work.suites, err = l.buildSuites(ctx, bin, o.packages); err != nil {
		return 1, err
	}
	for _, s := range o.work.suites {
		o.work.steps = append(o.work.steps, s.step(o.args))
	}
	status := 0
	var failures error
	for _, k := range o.kernels {
		own := filepath.Join(dir, k.series)
		if err := os.Mkdir(own, 0o755); err != nil {
			return 1, err
		}
		start := time.Now()
		fmt.Fprintf(os.Stderr, "lab: kernel %s\n", k.series)
		result, err := l.run(ctx, k, o.work, bin, own, os.Stdout)
		fmt.Fprintf(os.Stderr, "lab: kernel %s took %.0f s\n", k.series, time.Since(start).Seconds())
		switch {
		case err != nil:
			failures = errors.Join(failures, fmt.Errorf("kernel %s: %w", k.series, err))
			status = max(status, 1)
		case result.Status != 0:
			failures = errors.Join(failures, fmt.Errorf("kernel %s: status %d: %s", k.series, result.Status, strings.Join(result.Failed, ", ")))
			status = max(status, result.Status)
		}
	}
	return status, failures
}
