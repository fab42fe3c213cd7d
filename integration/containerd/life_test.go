// SPDX-License-Identifier: Apache-2.0

package containerd

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/xdp-chain/xdp-chain/internal/plugintest"
)

// A pod's whole life, with the chain that the conflist names.
func TestLife(t *testing.T) {
	onEach(t, func(t *testing.T, containerd string) {
		s := serve(t, containerd, chained(nil, fields{"name": "count", "priority": 1}, closing()))
		p := s.mustRun(t, "web", nil)
		c := p.ChainOn(t, "pod")
		wantOwner := []plugintest.ListedOwner{{
			Kind: "attachment", Network: plugintest.Network, ContainerID: p.ID, Ifname: "eth0",
			PodNamespace: "shop", PodName: "web",
		}}
		if diff := cmp.Diff(wantOwner, c.Owners); diff != "" {
			t.Errorf("owners (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff([]string{"count", "acl"}, c.MemberNames()); diff != "" {
			t.Errorf("members (-want +got):\n%s", diff)
		}
		wantFiltered(t, p)
		s.mustRemove(t, p.ID)
		s.wantNothing(t)
	})
}
