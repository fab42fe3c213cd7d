// SPDX-License-Identifier: Apache-2.0

package containerd

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/xdp-chain/xdp-chain/internal/plugintest"
)

// kubeletPatience is how long the kubelet of these tests waits for a pod, after which
// containerd kills the plugin that it waits for. A real one waits minutes.
const kubeletPatience = 2 * time.Second

// Our plugin stands still in the middle of an ADD, at a moment that each round
// chooses anew, until it is killed for it. The runtime's DEL clears up.
func TestKilledByTimeout(t *testing.T) {
	onEach(t, func(t *testing.T, r release) {
		n := chained(nil, fields{"name": "count", "priority": 1}, closing(), fields{"name": "pass", "side": "host"})
		n.addresses = 1
		s := serve(t, r, n)
		killed := 0
		for _, after := range []time.Duration{0, 4 * time.Millisecond, 10 * time.Millisecond, 20 * time.Millisecond} {
			stopped := stopADD(t, after)
			_, err := s.runWithin(kubeletPatience, s.podConfig("shop", "slow", nil))
			if <-stopped {
				killed++
				if status.Code(err) != codes.DeadlineExceeded {
					t.Errorf("running a pod whose plugin stands still: %v, want the deadline exceeded", err)
				}
			} else if err != nil {
				t.Errorf("running a pod whose plugin was not stopped: %v", err)
			}
			s.removeAll(t)
			s.wantNothing(t)
		}
		if killed == 0 {
			t.Error("no ADD was running when it was to be stopped")
		}
		t.Logf("ADDs killed: %d", killed)
		s.wantRoom(t, n.addresses)
	})
}

// The same where a plugin after ours takes too long: our ADD is over, the chain is
// there, and the pod will never be.
func TestNextPluginKilledByTimeout(t *testing.T) {
	onEach(t, func(t *testing.T, r release) {
		n := chained(nil, closing())
		n.addresses = 1
		slow := n
		slow.plugins = append(slices.Clone(n.plugins), fields{"type": "slow"})
		s := serve(t, r, n)
		s.installSlow(t)
		s.reconfigure(t, slow)
		_, err := s.runWithin(kubeletPatience, s.podConfig("shop", "slow", nil))
		if status.Code(err) != codes.DeadlineExceeded {
			t.Errorf("running a pod whose last plugin takes too long: %v, want the deadline exceeded", err)
		}
		s.removeAll(t)
		s.wantNothing(t)
		if adds := s.calls(t, "ADD", ""); len(adds) != 1 || adds[0].Outcome != "ok" {
			t.Errorf("our ADDs were %+v, want one, with success", adds)
		}
		s.reconfigure(t, n)
		s.wantRoom(t, n.addresses)
	})
}

// installSlow puts a plugin beside the others whose ADD never ends.
func (s *server) installSlow(t *testing.T) {
	t.Helper()
	script := "#!/bin/sh\n[ \"$CNI_COMMAND\" != ADD ] || exec sleep 3600\n"
	if err := os.WriteFile(filepath.Join(s.cniBin(), "slow"), []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
}

// stopADD stops the next ADD of our plugin that it sees, some time after it has seen
// it, and then tells whether the process was still there. It gives up when a pod
// would have been given up.
func stopADD(t *testing.T, after time.Duration) <-chan bool {
	t.Helper()
	binary := plugintest.Binary(t, "xdp-chain")
	stopped := make(chan bool, 1)
	go func() {
		for deadline := time.Now().Add(kubeletPatience); time.Now().Before(deadline); time.Sleep(100 * time.Microsecond) {
			if plugin := runningADD(binary); plugin != nil {
				time.Sleep(after)
				stopped <- plugin.Signal(unix.SIGSTOP) == nil
				return
			}
		}
		stopped <- false
	}()
	return stopped
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
