// SPDX-License-Identifier: Apache-2.0

package libxdp

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// xdp-loader with nobody else: what the other suites take for granted of it, of the
// members and of the frames.
func TestLoaderAlone(t *testing.T) {
	p := wired(t, 0)
	x := podTools(p)
	wantTrace(t, p, nil, "")
	x.load(t, "c", 30)
	wantTrace(t, p, nil, "c")
	wantTrace(t, p, verdicts{"c": drop}, "-")
	x.load(t, "a", 10)
	x.run(t, "xdp-loader", "load", x.ifname, "testdata/mark.o", "-n", "mark_d")
	want := []shown{
		{name: "mark_a", priority: 10, actions: "XDP_PASS"},
		{name: "mark_d", priority: 15, actions: "XDP_DROP,XDP_PASS"},
		{name: "mark_c", priority: 30, actions: "XDP_PASS"},
	}
	s := x.status(t)
	if diff := cmp.Diff(want, s.unnumbered(), cmp.AllowUnexported(shown{})); diff != "" {
		t.Errorf("status (-want +got):\n%s", diff)
	}
	if on := p.XDP(t); s.program != "xdp_dispatcher" || s.mode != "native" || s.id != on.Program {
		t.Errorf("status shows %+v, netlink %+v", s, on)
	}
	wantTrace(t, p, nil, "adc")
	wantTrace(t, p, verdicts{"d": drop}, "adc")
	wantTrace(t, p, verdicts{"c": drop}, "-")
	x.unload(t, "mark_d")
	wantTrace(t, p, nil, "ac")
	x.unloadAll(t)
	wantMembers(t, x)
	wantTrace(t, p, nil, "")
}
