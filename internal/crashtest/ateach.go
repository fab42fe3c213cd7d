// SPDX-License-Identifier: Apache-2.0

package crashtest

import (
	"errors"
	"fmt"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// AtEach runs a subtest for each change that a body makes: prepare sets the scene,
// a child runs the body and is killed right before the change, and check looks at
// what is left and finishes it. In the last subtest the child ends by itself, after
// all its changes. The body is one that [Child] gets in TestMain; env is added to
// the child's environment.
func AtEach(t *testing.T, body string, env []string, prepare, check func(t *testing.T)) {
	t.Helper()
	for n, ended := 0, false; !ended; n++ {
		ok := t.Run(fmt.Sprintf("%s-%d", body, n), func(t *testing.T) {
			prepare(t)
			var before string
			var err error
			if before, ended, err = runUntil(body, env, n); err != nil {
				t.Fatal(err)
			}
			if !ended {
				t.Logf("killed before its change %d: %s", n, before)
			}
			check(t)
		})
		if !ok {
			return
		}
		if ended && n == 0 {
			t.Fatalf("body %q changed nothing", body)
		}
	}
}

// runUntil runs a body and kills its process right before the nth change, counted
// from 0. It returns the change's name, or that the body ended before.
func runUntil(body string, env []string, n int) (before string, ended bool, err error) {
	// ptrace takes its orders from the thread that started the child.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	cmd := Command(body, env...)
	cmd.SysProcAttr.Ptrace = true
	if err := cmd.Start(); err != nil {
		return "", false, err
	}
	defer func() { _ = cmd.Process.Release() }() // follow has waited for it
	child := tracee(cmd.Process.Pid)
	before, ended, err = child.follow(n)
	if err != nil {
		err = errors.Join(fmt.Errorf("tracing body %q: %w", body, err), child.kill())
	}
	return before, ended, err
}

// tracee is the main thread of a child, and the child.
type tracee int

func (p tracee) kill() error {
	if err := unix.Kill(int(p), unix.SIGKILL); err != nil {
		return err
	}
	for {
		status, err := p.wait()
		if err != nil || status.Signaled() || status.Exited() {
			return err
		}
	}
}

func (p tracee) wait() (status unix.WaitStatus, err error) {
	for {
		_, err = unix.Wait4(int(p), &status, unix.WALL, nil)
		if !errors.Is(err, unix.EINTR) {
			return status, err
		}
	}
}

// follow lets the child go from system call to system call until the nth change,
// and kills it there, or until it ends.
func (p tracee) follow(n int) (before string, ended bool, err error) {
	if _, err := p.wait(); err != nil { // its exec
		return "", false, err
	}
	if err := unix.PtraceSetOptions(int(p), unix.PTRACE_O_TRACESYSGOOD|unix.PTRACE_O_EXITKILL); err != nil {
		return "", false, err
	}
	begun, signal := false, 0
	for {
		if err := unix.PtraceSyscall(int(p), signal); err != nil {
			return "", false, err
		}
		status, err := p.wait()
		switch {
		case err != nil:
			return "", false, err
		case status.Exited() && status.ExitStatus() == 0 && begun:
			return "", true, nil
		case status.Exited() || status.Signaled():
			return "", false, fmt.Errorf("child ended: exit status %d, %v", status.ExitStatus(), status.Signal())
		case status.StopSignal() != unix.SIGTRAP|0x80: // as set by TRACESYSGOOD
			signal = int(status.StopSignal())
			continue
		}
		signal = 0
		call, err := p.entered()
		if err != nil {
			return "", false, err
		}
		begun = begun || call.begins()
		what := call.changes()
		if !begun || what == "" {
			continue
		}
		if n == 0 {
			return what, false, p.kill()
		}
		n--
	}
}
