// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/xdp-chain/xdp-chain/integration/vm/script"
)

// notStarted is a shell's status for a command that cannot be started.
const notStarted = 127

// runAll runs the steps one after another, whether they fail or not.
func runAll(s script.Script, output *os.File) (script.Result, error) {
	var result script.Result
	if err := os.Setenv("PATH", path); err != nil { // exec.Command looks here
		return result, err
	}
	env := append([]string{"PATH=" + path, "HOME=/root", "TMPDIR=/tmp"}, s.Env...)
	for _, step := range s.Steps {
		start := time.Now()
		status, err := run(step, env, output)
		if err != nil {
			return result, fmt.Errorf("step %s: %w", step.Name, err)
		}
		word := "ok  "
		if status != 0 {
			word = "FAIL"
			result.Failed = append(result.Failed, step.Name)
			if result.Status == 0 {
				result.Status = status
			}
		}
		if s.Tell {
			fmt.Fprintf(output, "%s %s\t%.1fs\n", word, step.Name, time.Since(start).Seconds())
		}
	}
	return result, nil
}

// run runs one step and returns its status as a shell would. An error means that
// process 1 cannot go on.
func run(step script.Step, env []string, output *os.File) (int, error) {
	cmd := exec.Command(step.Argv[0], step.Argv[1:]...)
	cmd.Dir, cmd.Env = step.Dir, env
	cmd.Stdout, cmd.Stderr = output, output
	if err := cmd.Start(); err != nil {
		fmt.Fprintf(output, "starting %s: %v\n", step.Name, err)
		return notStarted, nil
	}
	ws, err := reapUntil(cmd.Process.Pid)
	if err != nil {
		return 0, err
	}
	if ws.Signaled() {
		fmt.Fprintf(output, "%s was ended by %v\n", step.Name, ws.Signal())
		return 128 + int(ws.Signal()), nil
	}
	return ws.ExitStatus(), nil
}

// reapUntil waits for a child and meanwhile, as process 1 must, for the orphans of
// the machine.
func reapUntil(pid int) (syscall.WaitStatus, error) {
	for {
		var ws syscall.WaitStatus
		switch got, err := syscall.Wait4(-1, &ws, 0, nil); {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return 0, fmt.Errorf("waiting for process %d: %w", pid, err)
		case got == pid:
			return ws, nil
		}
	}
}
