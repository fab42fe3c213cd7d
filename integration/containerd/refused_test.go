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
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// A pod that the plugin refuses does not start, and whoever asked for it reads the
// plugin's words, all of them. Nothing of it is left: the next pods can have every
// address there is.
func TestRefused(t *testing.T) {
	onEach(t, func(t *testing.T, containerd string) {
		n := chained(nil, closing())
		n.addresses = 3
		s := serve(t, containerd, n)

		broken := n
		broken.plugins = []fields{ours(nil, closing(), missing())}
		s.reconfigure(t, broken)
		for range n.addresses + 1 {
			s.wantRefused(t, nil, 103, "mine", missingObject)
		}
		s.reconfigure(t, n)
		s.wantRoom(t, n.addresses)
	})
}

const missingObject = "/nonexistent/mine.o"

// missing is a member whose object is not there.
func missing() fields { return fields{"name": "mine", "object": missingObject} }

// wantRefused fails the test unless a pod with the annotations is refused by our
// plugin with the code and the words, and nothing is left of it.
func (s *server) wantRefused(t *testing.T, annotations map[string]string, code uint, words ...string) {
	t.Helper()
	before := len(calls(t, "ADD", ""))
	_, err := s.run(podConfig("shop", "refused", annotations))
	if status.Code(err) != codes.Unknown {
		t.Fatalf("running the pod: %v, want code Unknown", err)
	}
	adds := calls(t, "ADD", "")
	if len(adds) != before+1 {
		t.Fatalf("our plugin heard %d ADDs, want 1; running the pod: %v", len(adds)-before, err)
	}
	said := adds[before]
	if said.Code != code {
		t.Errorf("code %d, want %d: %s", said.Code, code, said.text())
	}
	for _, word := range words {
		if !strings.Contains(said.text(), word) {
			t.Errorf("the plugin does not say %q: %s", word, said.text())
		}
	}
	if !strings.Contains(err.Error(), said.text()) {
		t.Errorf("the error of the pod is\n%v\nwant in it, whole,\n%s", err, said.text())
	}
	s.removeAll(t)
	s.wantNothing(t)
}

// wantRoom fails the test unless there is room for so many pods, and no more.
func (s *server) wantRoom(t *testing.T, addresses int) {
	t.Helper()
	for n := range addresses {
		wantFiltered(t, s.mustRun(t, "web-"+address(n), nil))
	}
	if _, err := s.run(podConfig("shop", "too-many", nil)); err == nil || !strings.Contains(err.Error(), "no IP addresses available") {
		t.Errorf("running one pod more than there are addresses: %v", err)
	}
	s.removeAll(t)
	s.wantNothing(t)
}

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
// takes longer than the timeout; why says what the answer no is for.
func (s *server) await(t *testing.T, timeout time.Duration, what string, ask func(context.Context) (yes bool, why string)) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	for reason := ""; ; time.Sleep(20 * time.Millisecond) {
		yes, why := ask(ctx)
		if yes {
			return
		}
		if ctx.Err() != nil {
			t.Fatalf("not within %s: %s: %s", timeout, what, reason)
		}
		reason = why
	}
}
