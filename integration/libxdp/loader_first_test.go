// SPDX-License-Identifier: Apache-2.0

package libxdp

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/xdp-chain/xdp-chain/internal/plugintest"
	"github.com/xdp-chain/xdp-chain/internal/testenv"
)

// Where xdp-loader was first, auto joins it, whichever tree it used.
func TestAutoJoinsTheLoader(t *testing.T) {
	for i, tree := range []struct {
		name  string
		tools func(t *testing.T, p *plugintest.Pod) tools
	}{{"plain tree", plainTools}, {"namespace's tree", ownTools}} {
		for j, tt := range []struct {
			theirs []string // with priorities 20, 30, 40
			joined string
			whose  []string
		}{
			{[]string{"b"}, "abe", []string{"attachment a", "libxdp mark_b", "attachment e"}},
			{[]string{"b", "f", "c"}, "abefc", []string{"attachment a", "libxdp mark_b", "attachment e", "libxdp mark_f", "libxdp mark_c"}},
		} {
			t.Run(fmt.Sprintf("%s/%d", tree.name, len(tt.theirs)), func(t *testing.T) {
				testenv.ShardByKernel(t, 2*i+j)
				p := wired(t, 0)
				x := tree.tools(t, p)
				for i, letter := range tt.theirs {
					x.load(t, letter, 20+10*i)
				}
				before := strings.Join(tt.theirs, "")
				wantTrace(t, p, nil, before)
				conf := p.Chained(nil, marking(t, "a", 10), marking(t, "e", 25))
				p.Must(t, "ADD", conf)
				p.Must(t, "CHECK", conf)
				wantTrace(t, p, nil, tt.joined)
				if c := p.ChainOn(t, "pod"); c.Dispatcher != "libxdp" || !strings.Contains(c.DispatcherReason, "joined") {
					t.Errorf("xdpctl lists %+v", c)
				}
				wantWhose(t, p, tt.whose...)
				after := chainTools(t, p)
				p.Must(t, "DEL", conf)
				wantTrace(t, p, nil, before)
				wantMembers(t, after, functions(tt.theirs)...)
				after.unloadAll(t)
				wantTrace(t, p, nil, "")
				vanish(t, p)
			})
		}
	}
}

// plainTools are the tools in libxdp's plain tree.
func plainTools(_ *testing.T, p *plugintest.Pod) tools { return podTools(p) }

// ownTools are the tools in the tree of the pod's namespace, made as an operator would
// who knows its name. Here it is known from a chain that was there before.
func ownTools(t *testing.T, p *plugintest.Pod) tools {
	t.Helper()
	conf := p.Chained(inLibxdp, marking(t, "a", 10))
	p.Must(t, "ADD", conf)
	x := chainTools(t, p)
	p.Must(t, "DEL", conf)
	if err := os.MkdirAll(x.bpffs, 0o700); err != nil {
		t.Fatal(err)
	}
	return x
}

func functions(letters []string) []string {
	var names []string
	for _, letter := range letters {
		names = append(names, "mark_"+letter)
	}
	return names
}

// In and out while xdp-loader goes on with its own members.
func TestInTurn(t *testing.T) {
	testenv.ShardByKernel(t, 0)
	p := wired(t, 0)
	podTools(p).load(t, "b", 20)
	conf := p.Chained(nil, marking(t, "a", 10), marking(t, "e", 25))
	p.Must(t, "ADD", conf)
	x := chainTools(t, p)
	x.load(t, "c", 30)
	wantTrace(t, p, nil, "abec")
	other := second(p, nil, marking(t, "g", 5))
	p.Must(t, "ADD", other)
	wantTrace(t, p, nil, "gabec")
	x.unload(t, "mark_b")
	wantTrace(t, p, nil, "gaec")
	p.Must(t, "DEL", conf)
	wantTrace(t, p, nil, "gc")
	p.Must(t, "CHECK", other)
	x.load(t, "d", 1)
	wantTrace(t, p, nil, "dgc")
	p.Must(t, "DEL", other)
	wantTrace(t, p, nil, "dc")
	x.unload(t, "mark_d")
	x.unload(t, "mark_c")
	wantTrace(t, p, nil, "")
	vanish(t, p)
}

// Joining means libxdp's order for all: equal priorities by the full name of the
// function, of which the kernel keeps 15 characters, and not by the members' names.
func TestEqualPriorities(t *testing.T) {
	p := wired(t, 0)
	podTools(p).load(t, "c", 50)
	long, b := marking(t, "m", 50), marking(t, "b", 50)
	long["function"], b["name"] = "mark_with_a_long_name", "z"
	conf := p.Chained(nil, long, b)
	p.Must(t, "ADD", conf)
	wantTrace(t, p, nil, "bcm")
	x := chainTools(t, p)
	wantMembers(t, x, "mark_b", "mark_c", "mark_with_a_long_name")
	x.load(t, "a", 50) // it sorts anew
	wantTrace(t, p, nil, "abcm")
	p.Must(t, "DEL", conf)
	wantTrace(t, p, nil, "ac")
	vanish(t, p)
}

// The pod goes with xdp-loader's members still in its chain: all pins go.
func TestPodVanishes(t *testing.T) {
	for name, del := range map[string]bool{"after DEL": true, "without DEL": false} {
		t.Run(name, func(t *testing.T) {
			p := wired(t, 0)
			podTools(p).load(t, "b", 20)
			conf := p.Chained(nil, marking(t, "a", 10))
			p.Must(t, "ADD", conf)
			if del {
				p.Must(t, "DEL", conf)
			}
			vanish(t, p)
		})
	}
}
