// SPDX-License-Identifier: Apache-2.0

package cnitool

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/xdp-chain/xdp-chain/internal/testenv"
)

const jumbo = 9000

// A member without frags does not fit a jumbo MTU in native mode: refused where
// native is asked for, with both figures, and generic where the choice is ours.
func TestJumboMTU(t *testing.T) {
	two := object(t, "two.o")
	noFrags := fields{"name": "mine", "object": two, "function": "first"}
	t.Run("native", func(t *testing.T) {
		testenv.NoLeaks(t)
		p := wiredPod(t, jumbo)
		_, err := p.call(t, "ADD", p.chained(fields{"mode": "native"}, noFrags))
		wantError(t, "ADD", err, 101, "9000", "3506")
		p.wantNothing(t, "ADD", 0, 0)
	})
	for name, tt := range map[string]struct {
		member fields
		mode   string
		kernel uint32
	}{
		"auto":            {noFrags, "generic", nl.XDP_ATTACHED_SKB},
		"auto with frags": {fields{"name": "pass"}, "native", nl.XDP_ATTACHED_DRV},
	} {
		t.Run(name, func(t *testing.T) {
			testenv.NoLeaks(t)
			p := wiredPod(t, jumbo)
			conf := p.chained(nil, tt.member)
			p.must(t, "ADD", conf)
			if got := p.chainOn(t, "pod").Mode; got != tt.mode {
				t.Errorf("mode %q is listed, want %q", got, tt.mode)
			}
			if got := p.podXDP(t).mode; got != tt.kernel {
				t.Errorf("the kernel says mode %d, want %d", got, tt.kernel)
			}
			p.must(t, "CHECK", conf)
			p.must(t, "DEL", conf)
		})
	}
}

// Somebody else's program stays where it is, and the message says whose it is.
func TestBusyInterface(t *testing.T) {
	for name, occupy := range map[string]func(*testing.T, *pod, *ebpf.Program){
		"netlink": func(t *testing.T, p *pod, foreign *ebpf.Program) { setXDP(t, p, foreign) },
		"link": func(t *testing.T, p *pod, foreign *ebpf.Program) {
			testenv.InNetNS(t, p.netns, func() error {
				eth0, err := netlink.LinkByName(p.ifname)
				if err != nil {
					return err
				}
				l, err := link.AttachXDP(link.XDPOptions{Program: foreign, Interface: eth0.Attrs().Index, Flags: link.XDPDriverMode})
				if err == nil {
					t.Cleanup(func() { l.Close() })
				}
				return err
			})
		},
	} {
		for _, attach := range []string{"link", "netlink"} {
			t.Run(name+" against "+attach, func(t *testing.T) {
				testenv.NoLeaks(t)
				p := wiredPod(t, 0)
				foreign := intruder(t)
				occupy(t, p, foreign)
				info, err := foreign.Info()
				if err != nil {
					t.Fatal(err)
				}
				id, _ := info.ID()
				p.refuse(t, "ADD", p.chained(fields{"attach": attach}, fields{"name": "pass"}), 101, "intruder", fmt.Sprint(id))
				if got := p.podXDP(t).program; got != uint32(id) {
					t.Errorf("program %d is on the interface, want the intruder, %d", got, id)
				}
				if left := records(t); len(left) != 0 {
					t.Errorf("left: %v", left)
				}
				p.must(t, "DEL", entry(nil))
				if got := p.podXDP(t).program; got != uint32(id) {
					t.Errorf("after DEL program %d is on the interface, want the intruder, %d", got, id)
				}
			})
		}
	}
}

// The host's side is busy: nothing is left on the pod's side either.
func TestBusyHostSideUndoesPodSide(t *testing.T) {
	testenv.NoLeaks(t)
	p := wiredPod(t, 0)
	host, err := netlink.LinkByName(p.host)
	if err != nil {
		t.Fatal(err)
	}
	if err := netlink.LinkSetXdpFdWithFlags(host, intruder(t).FD(), xdpFlagsDriver); err != nil {
		t.Fatal(err)
	}
	p.refuse(t, "ADD", p.chained(nil, fields{"name": "pass"}, fields{"name": "drop", "side": "host"}), 101, "intruder")
	if on := p.podXDP(t); on.program != 0 {
		t.Errorf("%+v is left on the pod's side", on)
	}
	if left := records(t); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
}

func TestBadPlace(t *testing.T) {
	pass := fields{"name": "pass"}
	t.Run("interface not in prevResult", func(t *testing.T) {
		testenv.NoLeaks(t)
		p := wiredPod(t, 0)
		conf := p.chained(nil, pass)
		p.ifname = "eth1"
		p.refuse(t, "ADD", conf, 7, "eth1", "eth0")
	})
	t.Run("interface not there", func(t *testing.T) {
		testenv.NoLeaks(t)
		p := newPod(t)
		p.refuse(t, "ADD", p.chained(nil, pass), 101, "eth0")
	})
	t.Run("no veth, side host", func(t *testing.T) {
		testenv.NoLeaks(t)
		p := newPod(t)
		p.inside(t, func(h *netlink.Handle) error {
			return h.LinkAdd(&netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "eth0"}})
		})
		p.refuse(t, "ADD", p.chained(fields{"side": "host"}, pass), 101, "eth0", "veth", "bridge")
	})
	t.Run("no native XDP, mode native", func(t *testing.T) {
		testenv.NoLeaks(t)
		p := newPod(t)
		p.inside(t, func(h *netlink.Handle) error {
			return h.LinkAdd(&netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "eth0"}})
		})
		p.refuse(t, "ADD", p.chained(fields{"mode": "native"}, pass), 101, "eth0", "native")
	})
	t.Run("offload", func(t *testing.T) {
		testenv.NoLeaks(t)
		p := wiredPod(t, 0)
		p.refuse(t, "ADD", p.chained(fields{"mode": "offload"}, pass), 101, "eth0", "hardware")
	})
	t.Run("netns gone", func(t *testing.T) {
		testenv.NoLeaks(t)
		p := wiredPod(t, 0)
		testenv.RemoveNetNS(t, p.netns)
		p.refuse(t, "ADD", p.chained(nil, pass), 8, p.netns)
	})
	t.Run("netns is a file", func(t *testing.T) {
		testenv.NoLeaks(t)
		p := wiredPod(t, 0)
		p.netns = file(t, "netns", nil)
		p.refuse(t, "ADD", p.chained(nil, pass), 8, p.netns)
	})
	t.Run("netns empty", func(t *testing.T) {
		testenv.NoLeaks(t)
		p := wiredPod(t, 0)
		conf := p.chained(nil, pass)
		p.netns = ""
		p.refuse(t, "ADD", conf, 4, "CNI_NETNS")
	})
	t.Run("netns is the host's", func(t *testing.T) {
		testenv.NoLeaks(t)
		p := wiredPod(t, 0)
		p.netns = "/proc/1/ns/net"
		p.refuse(t, "ADD", p.chained(nil, pass), 8, p.netns)
	})
}

// Another process holds the chain and does not let go.
func TestLockedChain(t *testing.T) {
	testenv.NoLeaks(t)
	p := wiredPod(t, 0)
	conf := p.chained(nil, fields{"name": "pass"})
	p.must(t, "ADD", conf)
	dir, err := os.Open(p.pinDir(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Flock(int(dir.Fd()), unix.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	own, err := os.ReadFile("/proc/self/comm")
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	p.refuse(t, "DEL", entry(nil), 11, fmt.Sprint(os.Getpid()), strings.TrimSpace(string(own)))
	if waited := time.Since(began); waited > 20*time.Second {
		t.Errorf("it waited for %s", waited)
	}
	if p.podXDP(t).program == 0 {
		t.Error("the chain is gone")
	}
	dir.Close()
	p.must(t, "DEL", entry(nil))
}
