// SPDX-License-Identifier: Apache-2.0

package crashtest

import (
	"fmt"
	"os"
	"os/exec"
	"syscall"
)

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
