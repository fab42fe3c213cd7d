// SPDX-License-Identifier: Apache-2.0

package containerd

import "testing"

// containerd sends DEL for a pod at each stop and at the removal: without a network
// namespace from the second on, and perhaps when the pod's address is another's. All
// of them succeed, and the other pod does not notice.
func TestManyDELs(t *testing.T) {
	onEach(t, func(t *testing.T, containerd string) {
		n := chained(nil, closing())
		n.addresses = 1
		s := serve(t, containerd, n)
		first := s.mustRun(t, "first", nil)
		s.mustStop(t, first)
		second := s.mustRun(t, "second", nil)
		if second.ip != first.ip {
			t.Fatalf("the second pod has %s, want the address of the first, %s", second.ip, first.ip)
		}
		s.mustStop(t, first)
		s.mustRemove(t, first.ID) // stops it once more
		if err := s.removeStopped(first.ID); err != nil {
			t.Errorf("removing a pod that is gone: %v", err)
		}
		dels := calls(t, "DEL", first.ID)
		if len(dels) < 2 {
			t.Errorf("our plugin heard DEL %d times for the first pod, want twice at least", len(dels))
		}
		for _, del := range dels {
			if del.Outcome != "ok" {
				t.Errorf("one of %d DELs: %s", len(dels), del.text())
			}
		}
		t.Logf("DELs for a pod that was stopped, stopped again and removed twice: %d", len(dels))
		wantFiltered(t, second)
		s.mustRemove(t, second.ID)
		s.wantNothing(t)
	})
}
