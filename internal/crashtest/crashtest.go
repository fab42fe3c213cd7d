// SPDX-License-Identifier: Apache-2.0

package crashtest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"syscall"
	"testing"

	"github.com/xdp-chain/xdp-chain/internal/testenv"
)

// AtEach runs a subtest for each change that a body makes: prepare sets the scene,
// a child runs the body and is killed right before the change, and check looks at
// what is left and finishes it. In the last subtest the child ends by itself, after
// all its changes. The body is one that [Child] gets in TestMain; env is added to
// the child's environment.
func AtEach(t *testing.T, body string, env []string, prepare, check func(t *testing.T)) {
	t.Helper()
	at(t, 0, 1, body, env, prepare, check)
}

// AtSome is [AtEach], but for one change in step of them where tests are to be short, and
// for others in each of the lab's kernels.
func AtSome(t *testing.T, step int, body string, env []string, prepare, check func(t *testing.T)) {
	t.Helper()
	if !testing.Short() {
		at(t, 0, 1, body, env, prepare, check)
		return
	}
	mine, kernels := testenv.Shard(t)
	at(t, mine*step/kernels, step, body, env, prepare, check)
}

func at(t *testing.T, first, step int, body string, env []string, prepare, check func(t *testing.T)) {
	t.Helper()
	for n, ended := first, false; !ended; n += step {
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
	cmd := Command(body, slices.Concat(env, []string{tracedEnv + "=1"})...)
	cmd.SysProcAttr.Ptrace = true
	cmd.SysProcAttr.Setpgid = true // see tracee
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

// bodyEnv names the body to run, in a child.
const bodyEnv = "XDP_CHAIN_CRASHTEST"

// tracedEnv is set for a child whose tracer waits for its changes.
const tracedEnv = "XDP_CHAIN_CRASHTEST_TRACED"

// Command returns a child that runs a body to its end, not started and not traced;
// env is added to its environment. What it prints goes to standard error.
func Command(body string, env ...string) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe")
	// Under the race detector a process sleeps for a second before it ends,
	// unless told not to.
	cmd.Env = append(os.Environ(), bodyEnv+"="+body, "GORACE=atexit_sleep_ms=0 "+os.Getenv("GORACE"))
	cmd.Env = append(cmd.Env, env...)
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{}
	return cmd
}

// Child ends the process with a body's work if [AtEach] or a [Command] started it,
// otherwise it does nothing. It comes first in TestMain.
func Child(bodies map[string]func() error) {
	name := os.Getenv(bodyEnv)
	if name == "" {
		return
	}
	body, ok := bodies[name]
	if !ok {
		fmt.Fprintf(os.Stderr, "crashtest: no body %q\n", name)
		os.Exit(1)
	}
	if os.Getenv(tracedEnv) != "" {
		if err := stopAtChanges(); err != nil {
			fmt.Fprintf(os.Stderr, "crashtest: having the kernel stop body %q at its changes: %v\n", name, err)
			os.Exit(1)
		}
	}
	if err := body(); err != nil {
		fmt.Fprintf(os.Stderr, "crashtest: body %q: %v\n", name, err)
		os.Exit(1)
	}
	os.Exit(0)
}
