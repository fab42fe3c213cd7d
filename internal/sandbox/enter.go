// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// ErrUnavailable is wrapped by the errors of a process that is not given namespaces.
var ErrUnavailable = errors.New("no namespaces to run in")

// insideEnv is set in the namespaces. Workers of go test -fuzz inherit it from
// their coordinator and so run where the coordinator does.
const insideEnv = "XDP_CHAIN_SANDBOX"

// The main goroutine keeps the main thread. Otherwise a goroutine that changes its
// thread's network namespace and ends could be on that thread, which cannot end
// with it: /proc/self/ns/net would show the wrong namespace from then on.
func init() { runtime.LockOSThread() }

// Inside reports whether this process runs in the namespaces.
func Inside() bool { return os.Getenv(insideEnv) != "" }

// Enter runs the program in namespaces of its own, with the same arguments. It
// returns nil in there, and in the process that called it never: that one ends
// when the program does. Errors satisfy errors.Is(err, [ErrUnavailable]) where
// nothing was run, or say what could not be prepared in the namespaces.
func Enter() error {
	if !Inside() {
		status, err := runInside()
		if err != nil {
			return err
		}
		os.Exit(status)
	}
	if os.Getpid() != 1 {
		return nil // process 1 has prepared everything
	}
	if err := furnish(); err != nil {
		return fmt.Errorf("preparing the namespaces: %w", err)
	}
	return nil
}

// runInside runs this binary with the same arguments in new namespaces and
// returns its exit status.
func runInside() (int, error) {
	if os.Geteuid() != 0 {
		return 0, fmt.Errorf("%w: needs root", ErrUnavailable)
	}
	self, err := os.Executable()
	if err != nil {
		return 0, fmt.Errorf("%w: finding this binary: %w", ErrUnavailable, err)
	}
	cmd := exec.Command(self, os.Args[1:]...)
	cmd.Args[0] = os.Args[0]
	cmd.Env = append(os.Environ(), insideEnv+"=1")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: unix.CLONE_NEWNS | unix.CLONE_NEWNET | unix.CLONE_NEWPID,
		// Sent when the thread that forked ends: the main thread, see init.
		Pdeathsig: unix.SIGKILL,
	}
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, unix.SIGINT, unix.SIGTERM, unix.SIGHUP, unix.SIGQUIT)
	if err := cmd.Start(); err != nil {
		return 0, fmt.Errorf("%w: starting in new ones: %w", ErrUnavailable, err)
	}
	go func() {
		for s := range signals {
			_ = cmd.Process.Signal(s) // it ended already: Wait says so
		}
	}()
	return status(cmd.Wait()), nil
}

// status is a shell's rendering of how a command ended.
func status(err error) int {
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0
	case !errors.As(err, &exit):
		fmt.Fprintln(os.Stderr, "sandbox: waiting for the program in the namespaces:", err)
		return 1
	}
	if ws, ok := exit.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		fmt.Fprintln(os.Stderr, "sandbox: the program in the namespaces was ended by", ws.Signal())
		return 128 + int(ws.Signal())
	}
	return exit.ExitCode()
}
