// SPDX-License-Identifier: Apache-2.0

package containerd

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/xdp-chain/xdp-chain/internal/plugintest"
)

// stopADD stops the next ADD of our plugin that it sees, some time after it has seen
// it, and hands it on; nil where the process had ended by then, or where none is seen
// for as long as a pod has.
func stopADD(t *testing.T, after time.Duration) <-chan *os.Process {
	t.Helper()
	binary := plugintest.Binary(t, "xdp-chain")
	stopped := make(chan *os.Process, 1)
	go func() {
		defer close(stopped)
		for deadline := time.Now().Add(kubeletPatience); time.Now().Before(deadline); time.Sleep(100 * time.Microsecond) {
			if plugin := runningADD(binary); plugin != nil {
				time.Sleep(after)
				if plugin.Signal(unix.SIGSTOP) == nil && standsStill(plugin) {
					stopped <- plugin
				}
				return
			}
		}
	}()
	return stopped
}

// standsStill waits until the signal has reached the process, and tells whether that
// was before its end.
func standsStill(p *os.Process) bool {
	for ; ; time.Sleep(100 * time.Microsecond) {
		content, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.Pid))
		if err != nil {
			return false
		}
		// The state follows the name, which is in brackets; proc_pid_stat(5).
		_, state, _ := strings.Cut(string(content), ") ")
		switch state[0] {
		case 'T':
			return true
		case 'Z', 'X':
			return false
		}
	}
}

// runningADD finds an ADD of the plugin among the processes.
func runningADD(binary string) *os.Process {
	links, err := filepath.Glob("/proc/[0-9]*/exe")
	if err != nil {
		return nil
	}
	for _, link := range links {
		dir := filepath.Dir(link)
		if target, err := os.Readlink(link); err != nil || target != binary {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(dir))
		if err != nil {
			continue
		}
		process, err := os.FindProcess(pid)
		if err != nil {
			continue
		}
		environment, err := os.ReadFile(filepath.Join(dir, "environ"))
		if err == nil && slices.Contains(strings.Split(string(environment), "\x00"), "CNI_COMMAND=ADD") {
			return process
		}
	}
	return nil
}
