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
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/xdp-chain/xdp-chain/internal/plugintest"
)

// kubeletPatience is how long the kubelet of these tests waits for a pod, after which
// containerd kills the plugin that it waits for. A real one waits minutes.
const kubeletPatience = 3 * time.Second

// Our plugin stands still in the middle of an ADD, at a moment that each round
// chooses anew, until it is killed for it. The runtime's DEL clears up.
func TestKilledByTimeout(t *testing.T) {
	onEach(t, func(t *testing.T, containerd string) {
		n := chained(nil, fields{"name": "count", "priority": 1}, closing(), fields{"name": "pass", "side": "host"})
		n.addresses = 1
		s := serve(t, containerd, n)
		killed := 0
		for _, after := range []time.Duration{0, 4 * time.Millisecond, 10 * time.Millisecond, 20 * time.Millisecond} {
			stopped := stopADD(t, after)
			_, err := s.runWithin(kubeletPatience, podConfig("shop", "slow", nil))
			if <-stopped != nil {
				killed++
				if status.Code(err) != codes.DeadlineExceeded {
					t.Errorf("running a pod whose plugin stands still: %v, want the deadline exceeded", err)
				}
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
	onEach(t, func(t *testing.T, containerd string) {
		n := chained(nil, closing())
		n.addresses = 1
		slow := n
		slow.plugins = append(slices.Clone(n.plugins), fields{"type": "slow"})
		s := serve(t, containerd, n)
		installSlow(t)
		s.reconfigure(t, slow)
		_, err := s.runWithin(2*kubeletPatience, podConfig("shop", "slow", nil)) // enough for ours
		if status.Code(err) != codes.DeadlineExceeded {
			t.Errorf("running a pod whose last plugin takes too long: %v, want the deadline exceeded", err)
		}
		s.removeAll(t)
		s.wantNothing(t)
		if adds := calls(t, "ADD", ""); len(adds) != 1 || adds[0].Outcome != "ok" {
			t.Errorf("our ADDs were %+v, want one, with success", adds)
		}
		s.reconfigure(t, n)
		s.wantRoom(t, n.addresses)
	})
}

// installSlow puts a plugin beside the others whose ADD never ends.
func installSlow(t *testing.T) {
	t.Helper()
	script := "#!/bin/sh\n[ \"$CNI_COMMAND\" != ADD ] || exec sleep 3600\n"
	if err := os.WriteFile(filepath.Join(cniBin, "slow"), []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
}

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

// A containerd that ends, or is killed, leaves the pods with their chains. The next
// one takes them away.
func TestContainerdEndsBetweenADDAndDEL(t *testing.T) {
	onEach(t, func(t *testing.T, containerd string) {
		s := serve(t, containerd, chained(nil, closing()))
		for _, signal := range []unix.Signal{unix.SIGTERM, unix.SIGKILL} {
			t.Run(unix.SignalName(signal), func(t *testing.T) {
				p := s.mustRun(t, strings.ToLower(unix.SignalName(signal)), nil)
				s.stop(t, signal)
				wantFiltered(t, p)
				s.start(t)
				wantFiltered(t, p)
				s.mustRemove(t, p.ID)
				s.wantNothing(t)
			})
		}
	})
}

// A containerd that is killed in the middle of an ADD leaves a plugin that has nobody
// to answer to. The next containerd knows of the pod, and takes away what the plugin
// has done meanwhile.
func TestContainerdKilledInTheMiddleOfADD(t *testing.T) {
	onEach(t, func(t *testing.T, containerd string) {
		n := chained(nil, fields{"name": "count", "priority": 1}, closing(), fields{"name": "pass", "side": "host"})
		n.addresses = 1
		s := serve(t, containerd, n)
		orphans := 0
		for _, after := range []time.Duration{0, 10 * time.Millisecond} {
			stopped, ran := stopADD(t, after), make(chan error, 1)
			go func() {
				_, err := s.run(podConfig("shop", "web", nil))
				ran <- err
			}()
			plugin := <-stopped
			s.stop(t, unix.SIGKILL)
			if err := <-ran; plugin != nil && err == nil {
				t.Error("a pod ran while its plugin stood still")
			}
			if plugin != nil {
				orphans++
				if err := plugin.Signal(unix.SIGCONT); err != nil {
					t.Error(err)
				}
				_, _ = plugin.Wait() // by SIGPIPE, where it got as far as its answer
			}
			s.start(t)
			s.removeAll(t)
			s.wantNothing(t)
		}
		if orphans == 0 {
			t.Error("no ADD was running when containerd was killed")
		}
		t.Logf("ADDs that went on alone: %d", orphans)
		s.wantRoom(t, n.addresses)
	})
}
