// SPDX-License-Identifier: Apache-2.0

package containerd

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/xdp-chain/xdp-chain/internal/plugintest"
)

// catalogDir is the folder of the admin's entries.
const catalogDir = home + "/programs.d"

// inviting is a network whose pods may ask for two programs: built-in ones, one that
// the network has anyway, and more.
func inviting(more ...string) network {
	return chained(fields{
		"catalogDir":  catalogDir,
		"annotations": fields{"allow": append([]string{"ratelimit", "flow-stats", "acl"}, more...), "max": 2},
		"namespaces":  fields{"exclude": []string{"kube-system"}},
	}, closing())
}

// asking is the annotations of a pod that asks for programs. Runtimes hand over all
// annotations, whoever they are for.
func asking(programs string) map[string]string {
	return map[string]string{"xdp-chain.io/programs": programs, "example.com/team": "shop"}
}

// What pods ask for in the ways they can joins what the network puts on each.
func TestAnnotations(t *testing.T) {
	onEach(t, func(t *testing.T, containerd string) {
		s := serve(t, containerd, inviting())
		for _, tt := range []struct {
			name        string
			annotations map[string]string
			want        []string
		}{
			{"none", nil, []string{"acl"}},
			{"of-others", map[string]string{"example.com/team": "shop"}, []string{"acl"}},
			{"empty", asking(""), []string{"acl"}},
			{"names", asking("ratelimit, flow-stats"), []string{"acl", "ratelimit", "flow-stats"}},
			{"yaml", asking("- name: ratelimit\n  priority: 150\n- flow-stats\n"), []string{"acl", "flow-stats", "ratelimit"}},
			{"json", asking(`[{"name": "flow-stats", "priority": 199}]`), []string{"acl", "flow-stats"}},
		} {
			t.Run(tt.name, func(t *testing.T) {
				p := s.mustRun(t, tt.name, tt.annotations)
				if diff := cmp.Diff(tt.want, p.ChainOn(t, "pod").MemberNames()); diff != "" {
					t.Errorf("members (-want +got):\n%s", diff)
				}
				wantFiltered(t, p)
				s.mustRemove(t, p.ID)
				s.wantNothing(t)
			})
		}
	})
}

// A value that a pod sets is the value that its program runs with.
func TestAnnotationSetsGlobal(t *testing.T) {
	onEach(t, func(t *testing.T, containerd string) {
		s := serve(t, containerd, inviting())
		p := s.mustRun(t, "slow", asking(`[{name: ratelimit, globals: {pps: 1, burst: 3}}]`))
		send(t, p, openPort, 100)
		s.await(t, callPatience, "ratelimit drops what is too much", func(context.Context) (bool, string) {
			c := p.StatsOn(t, "pod")
			return c.Packets("ratelimit", "drop") >= 50, fmt.Sprintf("%+v", c.Rows)
		})
	})
}

// Where annotations are of no effect they are not read either: in a namespace that is
// excluded, and in a network without a policy.
func TestAnnotationsIgnored(t *testing.T) {
	onEach(t, func(t *testing.T, containerd string) {
		s := serve(t, containerd, inviting())
		c := podConfig("kube-system", "system", asking("drop"))
		id, err := s.run(c)
		if err != nil {
			t.Fatalf("running a pod of an excluded namespace: %v", err)
		}
		if on := s.pod(t, id, c).XDP(t); on != (plugintest.XDP{}) {
			t.Errorf("a pod of an excluded namespace has %+v on its interface", on)
		}
		s.reconfigure(t, chained(nil, closing()))
		p := s.mustRun(t, "web", asking("drop"))
		if diff := cmp.Diff([]string{"acl"}, p.ChainOn(t, "pod").MemberNames()); diff != "" {
			t.Errorf("members without a policy (-want +got):\n%s", diff)
		}
		s.mustRemove(t, p.ID)
		s.mustRemove(t, id)
		s.wantNothing(t)
	})
}

// Whoever asks for what is not allowed gets no pod, reads why, and costs the node
// nothing, not even an address.
func TestAnnotationsRefused(t *testing.T) {
	onEach(t, func(t *testing.T, containerd string) {
		n := inviting()
		n.addresses = 3
		s := serve(t, containerd, n)
		// From here on some containerds say that this node is not ready, and run pods.
		faulty := inviting("broken", "absent")
		faulty.addresses = n.addresses
		s.reconfigure(t, faulty)
		if err := os.Mkdir(catalogDir, 0o755); err != nil {
			t.Fatal(err)
		}
		write(t, "programs.d/50-broken.yaml", []byte("name: broken\npriority: soon\n"))
		for _, tt := range []struct {
			name, programs string
			code           uint
			words          []string
		}{
			{"not allowed", "ratelimit, drop", 102, []string{`"drop"`, "not allowed"}},
			{"the network's", "acl", 102, []string{`"acl"`, "already"}},
			{"outside of the band", "[{name: ratelimit, priority: 5}]", 102, []string{"[0].priority", "100", "199"}},
			{"out of bounds", "[{name: ratelimit, globals: {pps: 1000000000}}]", 102, []string{"[0].globals.pps", "1000000000"}},
			{"not settable", "[{name: flow-stats, globals: {size: 1}}]", 102, []string{"[0].globals.size"}},
			{"not the pod's to give", "[{name: ratelimit, object: /tmp/mine.o}]", 102, []string{"[0].object"}},
			{"several faults", "- name: ratelimit\n  priority: 5\n- name: flow-stats\n  priority: 6\n", 102, []string{"[0].priority", "[1].priority", "line 2", "line 4"}},
			{"too many", "ratelimit, flow-stats, acl", 102, []string{"3", "2"}},
			{"malformed", "[{name: ratelimit", 102, []string{"xdp-chain.io/programs"}},
			{"too long", strings.Repeat("ratelimit,", 3000), 102, []string{"30000", "16384"}},
			{"entry broken", "broken", 103, []string{"50-broken.yaml:2", "priority"}},
			{"entry missing", "absent", 103, []string{"absent"}},
		} {
			t.Run(tt.name, func(t *testing.T) { s.wantRefused(t, asking(tt.programs), tt.code, tt.words...) })
		}
		s.wantRoom(t, n.addresses)
	})
}
