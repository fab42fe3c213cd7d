// SPDX-License-Identifier: Apache-2.0

package libxdp

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Cases of xdp-tools' own tests (test-xdp-loader.sh, test-libxdp.sh), with the plugin
// in the place of one of two loaders. Those about frames of several buffers are in
// frags_test.go, those about old dispatchers in versions_test.go.

// One program is loaded, chosen by its section or its name, and unloaded.
func TestLoadOneAndUnload(t *testing.T) {
	p := wired(t, 0)
	x := podTools(p)
	for _, choice := range [][]string{{"-s", "xdp/other"}, {"-n", "mark_l"}} {
		x.run(t, "xdp-loader", append([]string{"load", x.ifname, "testdata/mark.o"}, choice...)...)
		conf := p.Chained(nil, marking(t, "a", 10))
		p.Must(t, "ADD", conf)
		wantTrace(t, p, nil, "al")
		own := chainTools(t, p)
		p.Must(t, "DEL", conf)
		wantMembers(t, own, "mark_l")
		own.unloadAll(t)
	}
	conf := p.Chained(inLibxdp, fields{"name": "l", "object": object(t, "mark.o"), "function": "mark_l"})
	p.Must(t, "ADD", conf)
	wantMembers(t, chainTools(t, p), "mark_l")
	p.Must(t, "DEL", conf)
	wantMembers(t, x)
	vanish(t, p)
}

// The object's own XDP_RUN_CONFIG holds where nobody says otherwise, whoever loads it.
func TestRunConfig(t *testing.T) {
	p := wired(t, 0)
	conf := p.Chained(inLibxdp, fields{"name": "d", "object": object(t, "mark.o"), "function": "mark_d"}, marking(t, "a", 20))
	p.Must(t, "ADD", conf)
	s := chainTools(t, p).status(t)
	if got, want := s.unnumbered()[0], (shown{name: "mark_d", priority: 15, actions: "XDP_DROP,XDP_PASS"}); got != want {
		t.Errorf("xdp-loader shows %+v, want %+v", got, want)
	}
	wantTrace(t, p, verdicts{"d": drop}, "da")
	p.Must(t, "DEL", conf)
}

// Several programs at once, beside ours.
func TestLoadSeveral(t *testing.T) {
	p := wired(t, 0)
	conf := p.Chained(inLibxdp, marking(t, "b", 50))
	p.Must(t, "ADD", conf)
	x := chainTools(t, p)
	x.run(t, "xdp-loader", "load", x.ifname, "testdata/mark.o", "../cnitool/testdata/two.o")
	wantMembers(t, x, "first", "mark_a", "mark_b")
	wantTrace(t, p, nil, "ab")
	x.unload(t, "first")
	x.unload(t, "mark_a")
	p.Must(t, "CHECK", conf)
	p.Must(t, "DEL", conf)
}

// A program put on the interface without any dispatcher is in the way of both, and
// stays.
func TestClobber(t *testing.T) {
	p := wired(t, 0)
	x := podTools(p)
	x.alone = true
	x.load(t, "b", 50)
	on := p.XDP(t)
	for _, config := range []fields{nil, inLibxdp} {
		p.Refuse(t, "ADD", p.Chained(config, marking(t, "a", 10)), 101, "mark_b")
	}
	if now := p.XDP(t); now != on {
		t.Errorf("%+v became %+v", on, now)
	}
	wantTrace(t, p, nil, "b")
	x.unloadAll(t)
}

// Newer kernels let an extension that may change the frame replace only a function
// that may, too: the whole dispatcher when it is alone, a slot beside others.
func TestMemberThatChangesFrames(t *testing.T) {
	p := wired(t, 0)
	tail := func(name string) fields { return fields{"name": name, "object": object(t, "tail.o")} }
	longer := func(bytes int) {
		t.Helper()
		frame := newFrame(protocolOther, nil)
		sent := frame.bytes(t)
		if got := arrive(t, p, sent); len(got) != len(sent)+bytes {
			t.Errorf("%d bytes arrive of %d, want %d more", len(got), len(sent), bytes)
		}
	}
	one := p.Chained(inLibxdp, tail("one"))
	p.Must(t, "ADD", one)
	longer(8)
	two := second(p, nil, tail("two"))
	p.Must(t, "ADD", two)
	longer(16)
	p.Must(t, "DEL", one)
	longer(8)
	p.Must(t, "DEL", two)
	longer(0)
}

// A link that holds a program on the interface is nothing that 1.3.1 can take off.
func TestUnloadAllOfALinkedChain(t *testing.T) {
	p := wired(t, 0)
	conf := p.Chained(nil, marking(t, "a", 10))
	p.Must(t, "ADD", conf)
	podTools(p).refuse(t, "xdp-loader", "unload", p.Ifname, "--all")
	wantTrace(t, p, nil, "a")
	p.Must(t, "CHECK", conf)
	p.Must(t, "DEL", conf)
}

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
