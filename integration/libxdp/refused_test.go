// SPDX-License-Identifier: Apache-2.0

package libxdp

import (
	"fmt"
	"testing"

	"github.com/xdp-chain/xdp-chain/internal/plugintest"
)

// The protocol has ten slots. Who asks for an eleventh is told so, and the chain goes
// on as it was.
func TestEleventhMember(t *testing.T) {
	const ten = "abcdefghij"
	many := func(t *testing.T, letters string) (list []fields) {
		for i, letter := range letters {
			list = append(list, marking(t, string(letter), 10*i))
		}
		return list
	}
	t.Run("ours at once", func(t *testing.T) {
		p := wired(t, 0)
		p.Refuse(t, "ADD", p.Chained(inLibxdp, many(t, ten+"k")...), 104, "11", "10")
		wantTrace(t, p, nil, "")
	})
	t.Run("ours behind ours and xdp-loader's", func(t *testing.T) {
		p := wired(t, 0)
		x := podTools(p)
		x.load(t, "e", 40)
		conf := p.Chained(nil, append(many(t, ten[:4]), marking(t, "f", 50), marking(t, "g", 60), marking(t, "h", 70), marking(t, "i", 80), marking(t, "j", 90))...)
		p.Must(t, "ADD", conf)
		wantTrace(t, p, nil, ten)
		p.Refuse(t, "ADD", second(p, nil, marking(t, "k", 5)), 104, "11", "10", "libxdp")
		out := chainTools(t, p).refuse(t, "xdp-loader", "load", "eth0", "testdata/mark.o", "-n", "mark_k")
		t.Logf("xdp-loader says: %s", out)
		wantTrace(t, p, nil, ten)
		p.Must(t, "CHECK", conf)
		p.Must(t, "DEL", conf)
		wantTrace(t, p, nil, "e")
		vanish(t, p)
	})
}

// What cannot be while xdp-loader's members are on the interface, and leaves them as
// they are.
func TestRefusedBesideTheLoader(t *testing.T) {
	p := wired(t, 0)
	x := podTools(p)
	x.load(t, "b", 20)
	on := p.XDP(t)
	for _, tt := range []struct {
		config fields
		code   uint
		words  []string
	}{
		{fields{"dispatcher": "linked"}, 101, []string{"libxdp", fmt.Sprint(on.Program), "auto"}},
		{fields{"attach": "link"}, 101, []string{"libxdp", "netlink"}},
		{fields{"dispatcher": "libxdp", "attach": "link"}, 7, []string{"netlink"}},
		{fields{"libxdpVersion": 3}, 101, []string{"version 2", "version 3"}},
		{fields{"mode": "generic"}, 101, []string{"native"}},
	} {
		p.Refuse(t, "ADD", p.Chained(tt.config, marking(t, "a", 10)), tt.code, tt.words...)
		if now := p.XDP(t); now != on {
			t.Fatalf("with %v: %+v became %+v", tt.config, on, now)
		}
	}
	wantTrace(t, p, nil, "b")
	x.unloadAll(t)
}

// xdp-loader is refused where a chain is linked, and the chain goes on.
func TestLoaderBesideALinkedChain(t *testing.T) {
	for _, attach := range []string{"link", "netlink"} {
		t.Run(attach, func(t *testing.T) {
			p := wired(t, 0)
			conf := p.Chained(fields{"attach": attach}, marking(t, "a", 10), marking(t, "c", 30))
			p.Must(t, "ADD", conf)
			out := podTools(p).refuse(t, "xdp-loader", "load", p.Ifname, "testdata/mark.o", "-n", "mark_b")
			t.Logf("xdp-loader says: %s", out)
			wantTrace(t, p, nil, "ac")
			p.Must(t, "CHECK", conf)
			p.Must(t, "DEL", conf)
		})
	}
}

// One chain keeps its dispatcher: who asks for another is refused.
func TestAnotherDispatcherForTheChain(t *testing.T) {
	p := wired(t, 0)
	conf := twoOfOurs(t, p)
	p.Must(t, "ADD", conf)
	p.Refuse(t, "ADD", second(p, fields{"dispatcher": "linked"}, marking(t, "g", 5)), 101, "libxdp", "linked")
	other := second(p, nil, marking(t, "g", 5))
	p.Must(t, "ADD", other)
	wantTrace(t, p, nil, "gae")
	p.Must(t, "DEL", conf)
	wantTrace(t, p, nil, "g")
	p.Must(t, "DEL", other)
	wantTrace(t, p, nil, "")
}

// Members without BTF have no place in the protocol; nor has the plugin's count of
// verdicts.
func TestWhatTheProtocolHasNoRoomFor(t *testing.T) {
	p := wired(t, 0)
	bare := plugintest.CopyOf(t, "../../pkg/object/testdata/nobtf.o")
	p.Refuse(t, "ADD", p.Chained(inLibxdp, fields{"name": "bare", "object": bare}), 103, "bare", "BTF")
	conf := twoOfOurs(t, p)
	p.Must(t, "ADD", conf)
	if s := p.StatsOn(t, "pod"); len(s.Rows) != 0 || s.Reason == "" {
		t.Errorf("stats say %+v", s)
	}
	p.Must(t, "DEL", conf)
}
