// SPDX-License-Identifier: Apache-2.0

package containerd

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
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
