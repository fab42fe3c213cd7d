// SPDX-License-Identifier: Apache-2.0

package cnitool

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/xdp-chain/xdp-chain/internal/plugintest"
	"github.com/xdp-chain/xdp-chain/internal/testenv"
)

// A chain on the pod's side decides what the pod gets, one on the host's side
// what the pod sends, and neither anything else.
func TestSides(t *testing.T) {
	onSide := func(member fields, side string) fields {
		member["side"] = side
		return member
	}
	tests := []struct {
		name           string
		config         fields
		programs       []fields
		receives, send bool // whether the closed port can be reached in the pod, on the host
		sides          []string
	}{
		{"default", nil, []fields{closing(1)}, false, true, []string{"pod"}},
		{"pod", fields{"side": "pod"}, []fields{closing(1)}, false, true, []string{"pod"}},
		{"host", fields{"side": "host"}, []fields{closing(1)}, true, false, []string{"host"}},
		{"program's own", nil, []fields{onSide(closing(1), "host")}, true, false, []string{"host"}},
		{"program's own over the network's", fields{"side": "host"}, []fields{onSide(closing(1), "pod")}, false, true, []string{"pod"}},
		{"both", nil, []fields{closing(1), onSide(closing(1), "host")}, false, false, []string{"host", "pod"}},
		{"none", nil, nil, true, true, nil},
	}
	for _, first := range firstPlugins() {
		for i, tt := range tests {
			t.Run(first+"/"+tt.name, func(t *testing.T) {
				testenv.ShardByKernel(t, i)
				testenv.NoLeaks(t)
				f := families[0]
				programs := tt.programs
				if programs == nil {
					programs = []fields{}
				}
				r := newLibcni(t, pluginList(t, first, "1.1.0", f, ours(tt.config, programs...)))
				p := start(t, r)
				if diff := cmp.Diff(tt.sides, chainedSides(t, p)); diff != "" {
					t.Errorf("sides with a chain (-want +got):\n%s", diff)
				}
				host := netip.MustParseAddr(f.gateway)
				ip := address(t, p, f)
				reach(t, "", listen(t, p.NetNS, netip.AddrPortFrom(ip, openPort)))
				reach(t, p.NetNS, listen(t, "", netip.AddrPortFrom(host, openPort)))
				wantThrough(t, "", listen(t, p.NetNS, netip.AddrPortFrom(ip, closedPort)), 5, tt.receives)
				wantThrough(t, p.NetNS, listen(t, "", netip.AddrPortFrom(host, closedPort)), 5, tt.send)
				for _, side := range tt.sides {
					if got := p.StatsOn(t, side).Packets("acl", "drop"); got != 5 {
						t.Errorf("side %s: stats say that acl dropped %d, want 5", side, got)
					}
				}
				if err := r.check(p); err != nil {
					t.Errorf("CHECK: %s", plugintest.Describe(err))
				}
			})
		}
	}
}

// chainedSides lists the sides of the pod that have a chain, sorted.
func chainedSides(t *testing.T, p *plugintest.Pod) []string {
	t.Helper()
	var sides []string
	if plugintest.HostXDP(t, p.HostEnd(t)).Program != 0 {
		sides = append(sides, "host")
	}
	if p.XDP(t).Program != 0 {
		sides = append(sides, "pod")
	}
	return sides
}

// Namespaces choose the pods; one that is not chosen passes through untouched.
func TestNamespaces(t *testing.T) {
	tests := []struct {
		name       string
		namespaces fields
		args       string
		chained    bool
	}{
		{"all", nil, "K8S_POD_NAMESPACE=shop", true},
		{"excluded", fields{"exclude": []string{"shop"}}, "K8S_POD_NAMESPACE=shop", false},
		{"not excluded", fields{"exclude": []string{"kube-system"}}, "K8S_POD_NAMESPACE=shop", true},
		{"included", fields{"include": []string{"shop"}}, "K8S_POD_NAMESPACE=shop", true},
		{"not included", fields{"include": []string{"bank"}}, "K8S_POD_NAMESPACE=shop", false},
		{"names are exact", fields{"exclude": []string{"shop"}}, "K8S_POD_NAMESPACE=shop-2", true},
	}
	for i, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			testenv.ShardByKernel(t, i)
			testenv.NoLeaks(t)
			p := plugintest.WiredPod(t, 0)
			p.Args = "IgnoreUnknown=1;K8S_POD_NAME=web;" + tt.args
			more := fields{}
			if tt.namespaces != nil {
				more["namespaces"] = tt.namespaces
			}
			conf := p.Chained(more, fields{"name": "drop"})
			p.Must(t, "ADD", conf)
			if got := p.XDP(t).Program != 0; got != tt.chained {
				t.Errorf("the pod has a chain: %t, want %t", got, tt.chained)
			}
			p.Must(t, "CHECK", conf)
			p.Must(t, "DEL", conf)
		})
	}
}
