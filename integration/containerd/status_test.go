// SPDX-License-Identifier: Apache-2.0

package containerd

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// From 2.1 on containerd asks the plugins for STATUS whenever the kubelet asks for
// its own: a node on which no ADD could work is not ready, and says why.
func TestNodeIsNotReadyWhereSTATUSFails(t *testing.T) {
	onEach(t, func(t *testing.T, containerd string) {
		good, broken := chained(nil, closing()), chained(nil, missing())
		s := serve(t, containerd, good)
		s.reconfigure(t, broken)
		ready, why := s.ready(context.Background())
		switch polls := s.polls(t); {
		case !polls && !ready:
			t.Errorf("this containerd asks no plugin, but is not ready: %s", why)
		case polls && (ready || !strings.Contains(why, missingObject)):
			t.Errorf("ready: %t, %q; want no, and %s in the reason", ready, why, missingObject)
		}
		s.reconfigure(t, good)
		s.awaitReady(t)
	})
}

// polls tells whether this containerd asks plugins for STATUS.
func (s *server) polls(t *testing.T) bool {
	t.Helper()
	version, err := s.Version(context.Background(), &cri.VersionRequest{})
	if err != nil {
		t.Fatal(err)
	}
	var major, minor int
	if _, err := fmt.Sscanf(strings.TrimPrefix(version.RuntimeVersion, "v"), "%d.%d", &major, &minor); err != nil {
		t.Fatalf("reading the version %q: %v", version.RuntimeVersion, err)
	}
	t.Logf("containerd %s", version.RuntimeVersion)
	return major > 2 || major == 2 && minor >= 1
}

// ready tells whether containerd has all it needs for pods, and if not, what is
// wrong. It waits for a containerd that is starting.
func (s *server) ready(ctx context.Context) (ready bool, why string) {
	status, err := s.Status(ctx, &cri.StatusRequest{}, grpc.WaitForReady(true))
	if err != nil {
		return false, err.Error()
	}
	for _, c := range status.Status.Conditions {
		// Newer ones have further conditions, such as that nothing here is deprecated.
		if (c.Type == cri.RuntimeReady || c.Type == cri.NetworkReady) && !c.Status {
			return false, c.String()
		}
	}
	return true, ""
}

func (s *server) awaitReady(t *testing.T) {
	t.Helper()
	s.await(t, 30*time.Second, "containerd is ready", s.ready)
}

// awaitConfigured waits until containerd has loaded a conflist.
func (s *server) awaitConfigured(t *testing.T, conflist string) {
	t.Helper()
	s.await(t, 30*time.Second, "containerd has loaded the new conflist", func(ctx context.Context) (bool, string) {
		status, err := s.Status(ctx, &cri.StatusRequest{Verbose: true})
		if err != nil {
			return false, err.Error()
		}
		var loaded struct {
			Networks []struct{ Config struct{ Source string } }
		}
		err = json.Unmarshal([]byte(status.Info["cniconfig"]), &loaded)
		for _, n := range loaded.Networks {
			if n.Config.Source == conflist {
				return true, ""
			}
		}
		return false, fmt.Sprintf("%v, %v", err, loaded)
	})
}

// await asks again and again until the answer is yes, and fails the test when that
// takes longer than the patience; why says what the answer no is for.
func (s *server) await(t *testing.T, patience time.Duration, what string, ask func(context.Context) (yes bool, why string)) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for reason := ""; ; time.Sleep(20 * time.Millisecond) {
		yes, why := ask(ctx)
		if yes {
			return
		}
		if ctx.Err() != nil {
			t.Fatalf("not within %s: %s: %s", patience, what, reason)
		}
		reason = why
	}
}
