// SPDX-License-Identifier: Apache-2.0

package containerd

import (
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

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
