// SPDX-License-Identifier: Apache-2.0

package containerd

import (
	"testing"

	"github.com/xdp-chain/xdp-chain/internal/plugintest"
)

// The namespaces of the configuration are Kubernetes'. A pod that is left out gets
// no chain, and nothing of it is left either.
func TestNamespaces(t *testing.T) {
	for _, tt := range []struct {
		name       string
		namespaces fields
	}{
		{"exclude", fields{"exclude": []string{"kube-system"}}},
		{"include", fields{"include": []string{"shop"}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			onEach(t, func(t *testing.T, containerd string) {
				s := serve(t, containerd, chained(fields{"namespaces": tt.namespaces}, closing()))
				with := s.mustRun(t, "web", nil)
				out := podConfig("kube-system", "web", nil)
				id, err := s.run(out)
				if err != nil {
					t.Fatalf("running a pod that is left out: %v", err)
				}
				without := s.pod(t, id, out)
				wantFiltered(t, with)
				if on := without.XDP(t); on != (plugintest.XDP{}) {
					t.Errorf("the pod that is left out has %+v on its interface", on)
				}
				s.mustRemove(t, with.ID)
				s.mustRemove(t, without.ID)
				s.wantNothing(t)
			})
		})
	}
}
