// SPDX-License-Identifier: Apache-2.0

package containerd

import (
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
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
