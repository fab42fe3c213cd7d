// SPDX-License-Identifier: Apache-2.0

package testenv

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// insideEnv is set in the namespaces. Workers of go test -fuzz inherit it from
// their coordinator and so run where the coordinator does.
const insideEnv = "XDP_CHAIN_TESTENV"

// The main goroutine keeps the main thread. Otherwise a goroutine that changes its
// thread's network namespace and ends could be on that thread, which cannot end
// with it: /proc/self/ns/net would show the wrong namespace from then on.
func init() { runtime.LockOSThread() }

// Main runs the tests of a package in private namespaces and ends the process. It
// is the whole of a TestMain:
//
//	func TestMain(m *testing.M) { testenv.Main(m) }
//
// Without root, or where namespaces are refused, it runs no test at all: it says
// why and ends with status 0, or 1 when CI=true.
func Main(m *testing.M) {
	if os.Getenv(insideEnv) == "" {
		os.Exit(runInside())
	}
	if os.Getpid() == 1 {
		if err := furnish(); err != nil {
			fmt.Fprintln(os.Stderr, "testenv: preparing the namespaces:", err)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

// runInside runs this binary with the same arguments in new namespaces and
// returns its exit status.
func runInside() int {
	if os.Geteuid() != 0 {
		return unable("needs root")
	}
	self, err := os.Executable()
	if err != nil {
		return unable("finding this binary: " + err.Error())
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
		return unable("starting in new namespaces: " + err.Error())
	}
	go func() {
		for s := range signals {
			_ = cmd.Process.Signal(s) // it ended already: Wait says so
		}
	}()
	return status(cmd.Wait())
}

// status is a shell's rendering of how a command ended.
func status(err error) int {
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0
	case !errors.As(err, &exit):
		fmt.Fprintln(os.Stderr, "testenv: waiting for the tests:", err)
		return 1
	}
	if ws, ok := exit.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		fmt.Fprintln(os.Stderr, "testenv: the tests were ended by", ws.Signal())
		return 128 + int(ws.Signal())
	}
	return exit.ExitCode()
}

func unable(reason string) int {
	fmt.Fprintf(os.Stderr, "testenv: no test of %s can run: %s\n", os.Args[0], reason)
	if inCI() {
		return 1
	}
	return 0
}
