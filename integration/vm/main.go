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
	"runtime"
	"syscall"
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
