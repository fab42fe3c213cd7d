// SPDX-License-Identifier: Apache-2.0

package libxdp

import (
	"os/exec"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/xdp-chain/xdp-chain/internal/plugintest"
	"github.com/xdp-chain/xdp-chain/internal/testenv"
)

// twoOfOurs is a chain of two members, with room before, between and behind them.
func twoOfOurs(t *testing.T, p *plugintest.Pod) fields {
	t.Helper()
	e := marking(t, "e", 40)
	e["proceedOn"] = []string{"drop", "pass"}
	return p.Chained(inLibxdp, marking(t, "a", 10), e)
}

// xdp-loader shows of our chain all that it would show of its own, by the command
// that xdpctl prints.
func TestLoaderShowsOurChain(t *testing.T) {
	p := wired(t, 0)
	conf := twoOfOurs(t, p)
	p.Must(t, "ADD", conf)
	p.Must(t, "CHECK", conf)
	c := p.ChainOn(t, "pod")
	if c.Dispatcher != "libxdp" || c.Attach != "netlink" || c.Mode != "native" || c.LibxdpVersion != 2 {
		t.Errorf("xdpctl lists %+v", c)
	}
	out, err := exec.Command("sh", "-c", c.LibxdpStatus).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v: %s", c.LibxdpStatus, err, out)
	}
	s, err := statusOf(string(out))
	if err != nil {
		t.Fatal(err)
	}
	want := status{program: "xdp_dispatcher", mode: "native", id: p.XDP(t).Program, members: []shown{
		{name: "mark_a", priority: 10, actions: "XDP_PASS", id: c.Members[0].ProgramID},
		{name: "mark_e", priority: 40, actions: "XDP_DROP,XDP_PASS", id: c.Members[1].ProgramID},
	}}
	if diff := cmp.Diff(want, s, cmp.AllowUnexported(status{}, shown{})); diff != "" {
		t.Errorf("%s (-want +got):\n%s", c.LibxdpStatus, diff)
	}
	wantTrace(t, p, nil, "ae")
	wantTrace(t, p, verdicts{"e": drop}, "ae")
	wantTrace(t, p, verdicts{"a": drop}, "-")
	p.Must(t, "DEL", conf)
	wantTrace(t, p, nil, "")
}

// What xdp-loader does to our chain shows on the wire, in CHECK and in what xdpctl
// lists, and DEL leaves of it what is xdp-loader's.
func TestLoaderChangesOurChain(t *testing.T) {
	tests := []struct {
		name   string
		change func(t *testing.T, x tools)
		trace  string
		check  []string // words of CHECK; nil: it finds nothing
		stays  []string // what is xdp-loader's and has to outlive DEL
		last   string   // the trace then
	}{
		{"nothing", func(*testing.T, tools) {}, "ae", nil, nil, ""},
		{"load before", func(t *testing.T, x tools) { x.load(t, "b", 5) }, "bae", nil, []string{"mark_b"}, "b"},
		{"load in the middle", func(t *testing.T, x tools) { x.load(t, "b", 20) }, "abe", nil, []string{"mark_b"}, "b"},
		{"load behind", func(t *testing.T, x tools) { x.load(t, "b", 60) }, "aeb", nil, []string{"mark_b"}, "b"},
		{"load two, unload one", func(t *testing.T, x tools) {
			x.load(t, "c", 20)
			x.load(t, "b", 20)
			x.unload(t, "mark_c")
		}, "abe", nil, []string{"mark_b"}, "b"},
		{"load and unload", func(t *testing.T, x tools) {
			x.load(t, "b", 20)
			x.unload(t, "mark_b")
		}, "ae", nil, nil, ""},
		{"unload one of ours", func(t *testing.T, x tools) { x.unload(t, "mark_a") }, "e", []string{`"a"`, "eth0"}, nil, ""},
		{"load, unload one of ours", func(t *testing.T, x tools) {
			x.load(t, "b", 20)
			x.unload(t, "mark_e")
		}, "ab", []string{`"e"`}, []string{"mark_b"}, "b"},
		{"load, unload each of ours", func(t *testing.T, x tools) {
			x.load(t, "b", 20)
			x.unload(t, "mark_e")
			x.unload(t, "mark_a")
		}, "b", []string{`"a"`, `"e"`}, []string{"mark_b"}, "b"},
		{"unload all", func(t *testing.T, x tools) { x.unloadAll(t) }, "", []string{"eth0", "no XDP program"}, nil, ""},
		{"unload all, load", func(t *testing.T, x tools) {
			x.unloadAll(t)
			x.load(t, "b", 20)
		}, "b", []string{`"a"`, `"e"`}, []string{"mark_b"}, "b"},
	}
	for i, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			testenv.ShardByKernel(t, i)
			p := wired(t, 0)
			conf := twoOfOurs(t, p)
			p.Must(t, "ADD", conf)
			x := chainTools(t, p)
			tt.change(t, x)
			wantTrace(t, p, nil, tt.trace)
			if tt.check == nil {
				p.Must(t, "CHECK", conf)
			} else {
				wantDifference(t, p, conf, tt.check...)
			}
			p.Must(t, "DEL", conf)
			p.Must(t, "DEL", conf)
			wantTrace(t, p, nil, tt.last)
			if tt.stays != nil {
				wantMembers(t, x, tt.stays...)
				x.unloadAll(t)
			}
			if on := p.XDP(t); on.Program != 0 {
				t.Errorf("program %d is left", on.Program)
			}
			vanish(t, p)
		})
	}
}

// An ADD that comes again mends what xdp-loader took off, and leaves what it added.
func TestAddMends(t *testing.T) {
	for i, tt := range []struct {
		name string
		harm func(t *testing.T, x tools)
	}{
		{"one of ours", func(t *testing.T, x tools) { x.unload(t, "mark_a") }},
		{"both", func(t *testing.T, x tools) { x.unload(t, "mark_a"); x.unload(t, "mark_e") }},
		{"everything", func(t *testing.T, x tools) { x.unloadAll(t); x.load(t, "b", 20) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			testenv.ShardByKernel(t, i)
			p := wired(t, 0)
			conf := twoOfOurs(t, p)
			p.Must(t, "ADD", conf)
			x := chainTools(t, p)
			x.load(t, "b", 20)
			tt.harm(t, x)
			p.Must(t, "ADD", conf)
			p.Must(t, "CHECK", conf)
			wantTrace(t, p, nil, "abe")
			wantMembers(t, x, "mark_a", "mark_b", "mark_e")
			wantWhose(t, p, "attachment a", "libxdp mark_b", "attachment e")
			p.Must(t, "DEL", conf)
			wantTrace(t, p, nil, "b")
			vanish(t, p)
		})
	}
}

// On the host's side the chain lies where libxdp's tools look by themselves.
func TestHostSideIsInThePlainTree(t *testing.T) {
	p := wired(t, 0)
	conf := p.Chained(fields{"dispatcher": "libxdp", "side": "host"}, marking(t, "a", 10), marking(t, "c", 30))
	p.Must(t, "ADD", conf)
	x := tools{ifname: p.Host}
	wantMembers(t, x, "mark_a", "mark_c")
	x.load(t, "b", 20)
	p.Must(t, "CHECK", conf)
	wantMembers(t, x, "mark_a", "mark_b", "mark_c")
	p.Must(t, "DEL", conf)
	wantMembers(t, x, "mark_b")
	x.unloadAll(t)
	vanish(t, p)
}

// libxdp puts a lone program in the place of its whole dispatcher, so that the
// program's own verdict is final. Where the meaning of a chain is another one, ours
// has to hold, and xdp-loader has to see one member either way.
func TestLoneMember(t *testing.T) {
	tests := []struct {
		name      string
		proceedOn []string
		verdict   uint8
		trace     string
	}{
		{"passes", nil, pass, "a"},
		{"drops", nil, drop, "-"},
		{"drops and goes on", []string{"drop"}, drop, "a"},
		{"aborts and goes on", []string{"aborted"}, aborted, "a"},
		{"returns and goes on", nil, 31, "a"},
		{"returns, which is final", []string{"pass"}, 31, "-"},
		{"beyond what a mask can say", []string{"pass"}, 32 + pass, "-"},
	}
	p := wired(t, 0)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := marking(t, "a", 10)
			if tt.proceedOn != nil {
				a["proceedOn"] = tt.proceedOn
			}
			conf := p.Chained(inLibxdp, a)
			p.Must(t, "ADD", conf)
			wantTrace(t, p, verdicts{"a": tt.verdict}, tt.trace)
			wantMembers(t, chainTools(t, p), "mark_a")
			p.Must(t, "CHECK", conf)
			p.Must(t, "DEL", conf)
		})
	}
}

// The same verdicts with a member behind.
func TestFirstOfTwo(t *testing.T) {
	tests := []struct {
		name      string
		proceedOn []string
		verdict   uint8
		trace     string
	}{
		{"goes on", nil, pass, "ab"},
		{"is final", nil, drop, "-"},
		{"drops and goes on", []string{"drop"}, drop, "ab"},
		{"returns and goes on", nil, 31, "ab"},
		{"returns, which is final", []string{"pass"}, 31, "-"},
		{"beyond what a mask can say", []string{"pass"}, 32 + pass, "-"},
	}
	p := wired(t, 0)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := marking(t, "a", 10)
			if tt.proceedOn != nil {
				a["proceedOn"] = tt.proceedOn
			}
			conf := p.Chained(inLibxdp, a, marking(t, "b", 20))
			p.Must(t, "ADD", conf)
			wantTrace(t, p, verdicts{"a": tt.verdict}, tt.trace)
			p.Must(t, "DEL", conf)
		})
	}
}
