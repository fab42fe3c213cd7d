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

	"github.com/xdp-chain/xdp-chain/internal/plugintest"
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
		p := plugintest.WiredPod(t, jumbo)
		_, err := p.Call(t, "ADD", p.Chained(fields{"mode": "native"}, noFrags))
		plugintest.WantError(t, "ADD", err, 101, "9000", "3506")
		wantNothing(t, p, "ADD", 0, 0)
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
			if tt.mode == "native" {
				testenv.NeedKernel(t, testenv.HaveFrags())
			}
			testenv.NoLeaks(t)
			p := plugintest.WiredPod(t, jumbo)
			conf := p.Chained(nil, tt.member)
			p.Must(t, "ADD", conf)
			if got := p.ChainOn(t, "pod").Mode; got != tt.mode {
				t.Errorf("mode %q is listed, want %q", got, tt.mode)
			}
			if got := p.XDP(t).Mode; got != tt.kernel {
				t.Errorf("the kernel says mode %d, want %d", got, tt.kernel)
			}
			p.Must(t, "CHECK", conf)
			p.Must(t, "DEL", conf)
		})
	}
}

// Somebody else's program stays where it is, and the message says whose it is.
func TestBusyInterface(t *testing.T) {
	for name, occupy := range map[string]func(*testing.T, *plugintest.Pod, *ebpf.Program){
		"netlink": func(t *testing.T, p *plugintest.Pod, foreign *ebpf.Program) { setXDP(t, p, foreign) },
		"link": func(t *testing.T, p *plugintest.Pod, foreign *ebpf.Program) {
			testenv.InNetNS(t, p.NetNS, func() error {
				eth0, err := netlink.LinkByName(p.Ifname)
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
				p := plugintest.WiredPod(t, 0)
				foreign := intruder(t)
				occupy(t, p, foreign)
				info, err := foreign.Info()
				if err != nil {
					t.Fatal(err)
				}
				id, _ := info.ID()
				p.Refuse(t, "ADD", p.Chained(fields{"attach": attach}, fields{"name": "pass"}), 101, "intruder", fmt.Sprint(id))
				if got := p.XDP(t).Program; got != uint32(id) {
					t.Errorf("program %d is on the interface, want the intruder, %d", got, id)
				}
				if left := records(t); len(left) != 0 {
					t.Errorf("left: %v", left)
				}
				p.Must(t, "DEL", plugintest.Entry(nil))
				if got := p.XDP(t).Program; got != uint32(id) {
					t.Errorf("after DEL program %d is on the interface, want the intruder, %d", got, id)
				}
			})
		}
	}
}

// The host's side is busy: nothing is left on the pod's side either.
func TestBusyHostSideUndoesPodSide(t *testing.T) {
	testenv.NoLeaks(t)
	p := plugintest.WiredPod(t, 0)
	host, err := netlink.LinkByName(p.Host)
	if err != nil {
		t.Fatal(err)
	}
	if err := netlink.LinkSetXdpFdWithFlags(host, intruder(t).FD(), xdpFlagsDriver); err != nil {
		t.Fatal(err)
	}
	p.Refuse(t, "ADD", p.Chained(nil, fields{"name": "pass"}, fields{"name": "drop", "side": "host"}), 101, "intruder")
	if on := p.XDP(t); on.Program != 0 {
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
		p := plugintest.WiredPod(t, 0)
		conf := p.Chained(nil, pass)
		p.Ifname = "eth1"
		p.Refuse(t, "ADD", conf, 7, "eth1", "eth0")
	})
	t.Run("interface not there", func(t *testing.T) {
		testenv.NoLeaks(t)
		p := plugintest.NewPod(t)
		p.Refuse(t, "ADD", p.Chained(nil, pass), 101, "eth0")
	})
	t.Run("no veth, side host", func(t *testing.T) {
		testenv.NoLeaks(t)
		p := plugintest.NewPod(t)
		p.Inside(t, func(h *netlink.Handle) error {
			return h.LinkAdd(&netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "eth0"}})
		})
		p.Refuse(t, "ADD", p.Chained(fields{"side": "host"}, pass), 101, "eth0", "veth", "bridge")
	})
	t.Run("no native XDP, mode native", func(t *testing.T) {
		testenv.NoLeaks(t)
		p := plugintest.NewPod(t)
		p.Inside(t, func(h *netlink.Handle) error {
			return h.LinkAdd(&netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "eth0"}})
		})
		p.Refuse(t, "ADD", p.Chained(fields{"mode": "native"}, pass), 101, "eth0", "native")
	})
	t.Run("offload", func(t *testing.T) {
		testenv.NoLeaks(t)
		p := plugintest.WiredPod(t, 0)
		p.Refuse(t, "ADD", p.Chained(fields{"mode": "offload"}, pass), 101, "eth0", "hardware")
	})
	t.Run("netns gone", func(t *testing.T) {
		testenv.NoLeaks(t)
		p := plugintest.WiredPod(t, 0)
		testenv.RemoveNetNS(t, p.NetNS)
		p.Refuse(t, "ADD", p.Chained(nil, pass), 8, p.NetNS)
	})
	t.Run("netns is a file", func(t *testing.T) {
		testenv.NoLeaks(t)
		p := plugintest.WiredPod(t, 0)
		p.NetNS = plugintest.File(t, "netns", nil)
		p.Refuse(t, "ADD", p.Chained(nil, pass), 8, p.NetNS)
	})
	t.Run("netns empty", func(t *testing.T) {
		testenv.NoLeaks(t)
		p := plugintest.WiredPod(t, 0)
		conf := p.Chained(nil, pass)
		p.NetNS = ""
		p.Refuse(t, "ADD", conf, 4, "CNI_NETNS")
	})
	t.Run("netns is the host's", func(t *testing.T) {
		testenv.NoLeaks(t)
		p := plugintest.WiredPod(t, 0)
		p.NetNS = "/proc/1/ns/net"
		p.Refuse(t, "ADD", p.Chained(nil, pass), 8, p.NetNS)
	})
}

// Another process holds the chain and does not let go.
func TestLockedChain(t *testing.T) {
	testenv.KernelIndependent(t)
	testenv.NoLeaks(t)
	p := plugintest.WiredPod(t, 0)
	conf := p.Chained(nil, fields{"name": "pass"})
	p.Must(t, "ADD", conf)
	dir, err := os.Open(pinDir(t, p))
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
	p.Refuse(t, "DEL", plugintest.Entry(nil), 11, fmt.Sprint(os.Getpid()), strings.TrimSpace(string(own)))
	if waited := time.Since(began); waited > 20*time.Second {
		t.Errorf("it waited for %s", waited)
	}
	if p.XDP(t).Program == 0 {
		t.Error("the chain is gone")
	}
	dir.Close()
	p.Must(t, "DEL", plugintest.Entry(nil))
}
