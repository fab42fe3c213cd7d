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
	"runtime"
	"strings"
	"syscall"
	"time"
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
	return l.run(ctx, o)
}

// possible says what keeps this machine from running the lab, whoever is root on it.
func possible() error {
	if runtime.GOOS != "linux" || runtime.GOARCH != "amd64" {
		return fmt.Errorf("the lab emulates amd64 with binaries built for this machine, which is %s/%s", runtime.GOOS, runtime.GOARCH)
	}
	if _, err := debianCodename("/etc/os-release"); err != nil {
		return err
	}
	for _, name := range []string{"apt-get", "dpkg"} {
		if _, err := exec.LookPath(name); err != nil {
			return fmt.Errorf("%w: %w", errNotDebian, err)
		}
	}
	return nil
}

const usage = `usage: go run ./integration/vm [flags]
       go run ./integration/vm [flags] -packages LIST [-- test flags...]
       go run ./integration/vm [flags] [--] command arguments...

Boots Debian's kernels under QEMU and runs this checkout's tests in them, or a
command. Examples:

  go run ./integration/vm
  go run ./integration/vm -kernel 6.1 -packages "./internal/node ./pkg/pin" -- -test.v -test.run Crash
  go run ./integration/vm -kernel 5.10,6.12 sh -c 'uname -r; bpftool feature'

A command starts in the checkout, which lies in ` + guestRoot + `. Tests run with
-test.short, as the emulation is slow; -test.short=false among their flags undoes that.

`

// options are the command line.
type options struct {
	kernels  []kernel
	packages []string
	args     []string          // of the test binaries, or a command
	files    map[string]string // path in the guest -> path on the machine
	cpus     int
	icount   bool
	limit    time.Duration
}

// parse reads the command line. What is wrong with it was printed when it returns.
func parse(args []string) (options, error) {
	o := options{kernels: kernels, files: make(map[string]string)}
	flags := flag.NewFlagSet("vm", flag.ContinueOnError)
	flags.Usage = func() {
		fmt.Fprint(flags.Output(), usage)
		flags.PrintDefaults()
	}
	flags.Func("kernel", "comma-separated `series`, of "+seriesOf(kernels)+" (default all)", func(list string) (err error) {
		o.kernels, err = kernelsOf(list)
		return err
	})
	flags.Func("packages", "`list` of packages whose tests to run (default, without a command, "+strings.Join(suites, " ")+")", func(list string) error {
		o.packages = strings.Fields(list)
		return nil
	})
	flags.Func("file", "`host=guest`: put a file of the machine into the guest, below the checkout if the path is relative; may be repeated", o.addFile)
	flags.IntVar(&o.cpus, "cpus", 2, "`number` of processors of a guest")
	flags.BoolVar(&o.icount, "icount", false, "let the guest's clock count instructions, on one processor: the same figures at every run")
	flags.DurationVar(&o.limit, "timeout", 30*time.Minute, "for each guest")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	o.args = flags.Args()
	if len(o.packages) == 0 && len(o.args) == 0 {
		o.packages = suites
	}
	if o.icount {
		o.cpus = 1
	}
	return o, nil
}

func (o *options) addFile(pair string) error {
	from, to, ok := strings.Cut(pair, "=")
	if !ok || from == "" || to == "" {
		return errors.New("want host=guest")
	}
	if !path.IsAbs(to) {
		to = path.Join(guestRoot, to)
	}
	o.files[path.Clean(to)] = from
	return nil
}
