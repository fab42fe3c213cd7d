// SPDX-License-Identifier: Apache-2.0

package containerd

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// Thirty pods at once, which do not all ask for the same: each has its own chain, the
// right one, whole and working, and all go at once. What the plugin's ADDs took is
// printed; the machine's other work is in it.
func TestThirtyPodsAtOnce(t *testing.T) {
	const count = 30
	kinds := []struct {
		annotations map[string]string
		want        []string
	}{
		{nil, []string{"acl"}},
		{asking("ratelimit"), []string{"acl", "ratelimit"}},
		{asking("flow-stats, ratelimit"), []string{"acl", "ratelimit", "flow-stats"}},
	}
	onEach(t, func(t *testing.T, containerd string) {
		s := serve(t, containerd, inviting())
		ids := make([]string, count)
		configOf := func(i int) *cri.PodSandboxConfig {
			return podConfig("shop", fmt.Sprintf("web-%d", i), kinds[i%len(kinds)].annotations)
		}
		start := time.Now()
		if err := atOnce(count, func(i int) (err error) {
			ids[i], err = s.run(configOf(i))
			return err
		}); err != nil {
			t.Fatalf("running the pods: %v", err)
		}
		t.Logf("%d pods ran after %s", count, time.Since(start).Round(time.Millisecond))
		reportADDs(t)

		keys := make(map[string]bool)
		for i, id := range ids {
			p := s.pod(t, id, configOf(i))
			c := p.ChainOn(t, "pod")
			keys[c.Key] = true
			if diff := cmp.Diff(kinds[i%len(kinds)].want, c.MemberNames()); diff != "" {
				t.Errorf("members of pod %d (-want +got):\n%s", i, diff)
			}
			wantFiltered(t, p)
		}
		if len(keys) != count {
			t.Errorf("%d pods have %d chains", count, len(keys))
		}
		if err := atOnce(count, func(i int) error { return s.remove(ids[i]) }); err != nil {
			t.Fatalf("removing the pods: %v", err)
		}
		s.wantNothing(t)
	})
}

// atOnce calls f for each number on a goroutine of its own and joins the errors.
func atOnce(count int, f func(int) error) error {
	errs := make([]error, count)
	var wg sync.WaitGroup
	for i := range count {
		wg.Go(func() { errs[i] = f(i) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

// reportADDs prints what the plugin's ADDs took.
func reportADDs(t *testing.T) {
	t.Helper()
	var took []time.Duration
	for _, add := range calls(t, "ADD", "") {
		took = append(took, time.Duration(add.Duration).Round(100*time.Microsecond))
	}
	slices.Sort(took)
	median, slowest := took[len(took)/2], took[len(took)-1]
	t.Logf("the plugin's ADD: median %s, slowest %s, %.1f times the median", median, slowest, float64(slowest)/float64(median))
}

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
