// SPDX-License-Identifier: Apache-2.0

package cnitool

import (
	"bufio"
	"net/netip"
	"os"
	"strings"
	"testing"

	"github.com/xdp-chain/xdp-chain/internal/plugintest"
	"github.com/xdp-chain/xdp-chain/internal/testenv"
	"github.com/xdp-chain/xdp-chain/pkg/netdev"
)

// What a chain in the pod answers the pod's kernel does not see, and what one on the
// host's side answers the host's kernel does not. Where one chain alone is to be heard by
// the other end, that polls for as long as the chain is there.
func TestAnswersByXDP(t *testing.T) {
	tests := []struct {
		name  string
		sides []string
		polls map[string]bool // the sides that have GRO on for it
	}{
		{"pod", []string{"pod"}, map[string]bool{"host": true}},
		{"host", []string{"host"}, map[string]bool{"pod": true}},
		{"both", []string{"pod", "host"}, map[string]bool{"pod": true, "host": true}},
	}
	for _, first := range firstPlugins() {
		for _, f := range someFamilies() {
			for _, tt := range tests {
				t.Run(first+"/"+f.name+"/"+tt.name, func(t *testing.T) {
					polling := netdev.HaveGROPolling()
					if len(tt.sides) == 1 { // where both have a chain each takes what the other sends
						testenv.NeedKernel(t, polling)
					}
					testenv.NoLeaks(t)
					r := newLibcni(t, pluginList(t, first, "1.1.0", f, ours(nil, echoing(f, tt.sides)...)))
					p := start(t, r)
					settle(t, netip.MustParseAddr(f.gateway))
					if polling == nil {
						wantPolling(t, p, tt.polls)
					}
					for _, side := range tt.sides {
						answers(t, p, f, side)
					}
					if err := r.check(p); err != nil {
						t.Errorf("CHECK: %s", plugintest.Describe(err))
					}
					host := p.HostEnd(t)
					if err := r.del(p); err != nil {
						t.Errorf("DEL: %s", plugintest.Describe(err))
					}
					if on, err := gro("", host); on || err == nil {
						t.Errorf("after DEL the host's end has GRO %v, %v; want none, as bridge and ptp take it away", on, err)
					}
				})
			}
		}
	}
}

// echoing are members that answer pings to the pod, and those of the pod to its gateway.
func echoing(f family, sides []string) (list []fields) {
	for _, side := range sides {
		member := fields{"name": "icmp-echo", "side": side}
		if side == "host" {
			address := "address"
			if netip.MustParseAddr(f.gateway).Is6() {
				address = "address6"
			}
			member["globals"] = fields{"mac": "00:00:00:00:00:00", address: f.gateway}
		}
		list = append(list, member)
	}
	return list
}

// answers pings through a side and wants its chain alone to answer.
func answers(t *testing.T, p *plugintest.Pod, f family, side string) {
	t.Helper()
	const count = 5
	from, kernel, to := "", p.NetNS, address(t, p, f)
	if side == "host" {
		from, kernel, to = p.NetNS, "", netip.MustParseAddr(f.gateway)
	}
	before := echoes(t, kernel, to)
	testenv.InNetNS(t, from, func() error {
		ping(t, to, count)
		return nil
	})
	if got := p.StatsOn(t, side).Packets("icmp-echo", "tx"); got != count {
		t.Errorf("side %s: stats say that icmp-echo answered %d, want %d", side, got, count)
	}
	if got := echoes(t, kernel, to); got != before {
		t.Errorf("side %s: the kernel behind it counts echo requests too: %s before, %s after", side, before, got)
	}
}

// echoes returns how many echo requests the kernel of a namespace has received: the
// line of its counters that tells.
func echoes(t *testing.T, ns string, of netip.Addr) (count string) {
	t.Helper()
	testenv.InNetNS(t, ns, func() error {
		path, field := "/proc/thread-self/net/snmp", "InEchos"
		if of.Is6() {
			path, field = "/proc/thread-self/net/snmp6", "Icmp6InEchos"
		}
		file, err := os.Open(path)
		if err != nil {
			return err
		}
		defer file.Close()
		lines := bufio.NewScanner(file)
		for column := -1; lines.Scan(); {
			words := strings.Fields(lines.Text())
			if column >= 0 || words[0] == field {
				count = words[max(column, 1)]
				return nil
			}
			for i, word := range words { // IPv4's names stand in a line before the values
				if word == field {
					column = i
				}
			}
		}
		t.Errorf("%s has no %s", path, field)
		return lines.Err()
	})
	return count
}

func wantPolling(t *testing.T, p *plugintest.Pod, want map[string]bool) {
	t.Helper()
	for side, end := range map[string]struct{ ns, name string }{"pod": {p.NetNS, p.Ifname}, "host": {"", p.HostEnd(t)}} {
		if on, err := gro(end.ns, end.name); on != want[side] || err != nil {
			t.Errorf("GRO at the end of side %s: %v, %v; want %v", side, on, err, want[side])
		}
	}
}

// gro tells whether GRO is on at an interface; "" is the namespace that the tests run in.
func gro(ns, name string) (bool, error) {
	if ns == "" {
		ns = netdev.CurrentPath
	}
	in, err := netdev.OpenNetNS(ns)
	if err != nil {
		return false, err
	}
	defer in.Close()
	iface, err := in.InterfaceByName(name)
	if err != nil {
		return false, err
	}
	return iface.GRO()
}

// Off touches nothing, and DEL of a chain whose pair stays puts back what was.
func TestPeerNapi(t *testing.T) {
	for setting, polls := range map[string]bool{"auto": true, "off": false} {
		t.Run(setting, func(t *testing.T) {
			testenv.NeedKernel(t, netdev.HaveGROPolling())
			testenv.NoLeaks(t)
			p := plugintest.WiredPod(t, 1500)
			conf := p.Chained(plugintest.Fields{"peerNapi": setting}, plugintest.Fields{"name": "icmp-echo"})
			p.Must(t, "ADD", conf)
			wantPolling(t, p, map[string]bool{"host": polls})
			p.Must(t, "CHECK", conf)
			p.Must(t, "DEL", conf)
			wantPolling(t, p, nil)
		})
	}
}

// Where GRO does not do, ADD says what does, and leaves nothing.
func TestPeerThatCannotPoll(t *testing.T) {
	dispatcher := "auto"
	if netdev.HaveGROPolling() == nil {
		testenv.NeedFreplace(t)
		dispatcher = "libxdp"
	}
	testenv.NoLeaks(t)
	p := plugintest.WiredPod(t, 1500)
	conf := func(mode, peerNapi string) plugintest.Fields {
		return p.Chained(plugintest.Fields{"dispatcher": dispatcher, "mode": mode, "peerNapi": peerNapi}, plugintest.Fields{"name": "icmp-echo"})
	}
	p.Refuse(t, "ADD", conf("auto", "auto"), 105, p.HostEnd(t), "native XDP program")
	if left := plugintest.Chains(t); len(left) != 0 {
		t.Errorf("left: %+v", left)
	}
	for _, c := range []plugintest.Fields{conf("auto", "off"), conf("generic", "auto")} {
		p.Must(t, "ADD", c)
		p.Must(t, "CHECK", c)
		p.Must(t, "DEL", c)
	}
}
