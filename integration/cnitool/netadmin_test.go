// SPDX-License-Identifier: Apache-2.0

package cnitool

import (
	"errors"
	"fmt"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/vishvananda/netlink"

	"github.com/xdp-chain/xdp-chain/internal/plugintest"
	"github.com/xdp-chain/xdp-chain/internal/testenv"
)

// held is one way in which a chain is held on its interface.
type held struct {
	name          string
	config        fields
	link, generic bool
	all           bool // take the attempts that are not about the hook, too
	need          func(t testing.TB)
}

var (
	linkNative     = held{name: "link, native", config: fields{"attach": "link", "mode": "native"}, link: true, all: true}
	linkGeneric    = held{name: "link, generic", config: fields{"attach": "link", "mode": "generic"}, link: true, generic: true}
	netlinkNative  = held{name: "netlink, native", config: fields{"attach": "netlink", "mode": "native"}}
	netlinkGeneric = held{name: "netlink, generic", config: fields{"attach": "netlink", "mode": "generic"}, generic: true, all: true}
	inLibxdp       = held{name: "libxdp", config: fields{"dispatcher": "libxdp"}, need: testenv.NeedFreplace}
)

// What a container with each set of capabilities can do to a chain on its pod's
// interface, in each way in which the chain may be held. docs/security.md has it as a
// table. Where tests are to be short it is natively alone, by link and in libxdp's
// dispatcher, and the attempts on the hook.
func TestPodAgainstItsChain(t *testing.T) {
	every := []held{linkNative, linkGeneric, netlinkNative, netlinkGeneric, inLibxdp}
	for _, who := range []struct {
		name     string
		hat      hat
		owning   bool // the pod has a user namespace, hostUsers: false
		stranger bool // the attempts are made in a user namespace of their own
		attempts func(held) map[string]answer
		on       []held
	}{
		{"no capability", plain, false, false, byNobody, []held{linkNative}},
		{"stranger", plain, false, true, byStranger, []held{linkNative}},
		{"NET_ADMIN", netAdmin, false, false, byNetAdmin, every},
		{"NET_ADMIN and BPF", netAdminBPF, false, false, byNetAdminAndBPF, every},
		{"NET_ADMIN and BPF in a user namespace", netAdminBPF, true, false, byOwner, []held{linkNative, netlinkNative}},
		{"privileged", privileged, false, false, byPrivileged, []held{linkNative}},
	} {
		for _, h := range who.on {
			if testing.Short() {
				if h.generic || !h.link && h.need == nil {
					continue
				}
				h.all = false
			}
			t.Run(who.name+"/"+h.name, func(t *testing.T) {
				if h.need != nil {
					h.need(t)
				}
				var kept victim // one pod does for all that leaves it as it was
				for name, want := range who.attempts(h) {
					if want.apart || want.then != decides || want.check != "" {
						t.Run(name, func(t *testing.T) {
							newVictim(t, h, who.hat, who.owning).suffers(t, name, who.stranger, want)
						})
						continue
					}
					if kept.pod == nil {
						kept = newVictim(t, h, who.hat, who.owning)
					}
					t.Run(name, func(t *testing.T) { kept.suffers(t, name, who.stranger, want) })
				}
			})
		}
	}
}

// victim is a pod with a chain and a container that attempts to get rid of it.
type victim struct {
	pod       *plugintest.Pod
	container *container
	conf      fields
	elsewhere string // path of a network namespace that the container holds
}

func newVictim(t *testing.T, h held, worn hat, owning bool) victim {
	t.Helper()
	testenv.NoLeaks(t)
	v := victim{elsewhere: testenv.NewNetNS(t)}
	if owning {
		v.pod, v.container = worn.owning(t, v.elsewhere)
	} else {
		v.pod = plugintest.WiredPod(t, 0)
		v.container = worn.in(t, v.pod, v.elsewhere)
	}
	v.conf = v.pod.Chained(h.config, closing(10))
	v.pod.Must(t, "ADD", v.conf)
	// Whatever was done to the chain, DEL succeeds.
	t.Cleanup(func() { v.pod.Must(t, "DEL", plugintest.Entry(nil)) })
	v.pod.Must(t, "CHECK", v.conf)
	return v
}

// suffers makes an attempt and compares what came of it: what the kernel said, what
// frames say, and what CHECK says.
func (v victim) suffers(t *testing.T, name string, stranger bool, want answer) {
	t.Helper()
	var before plugintest.XDP
	same := want.then == decides && want.check == ""
	if same {
		before = v.pod.XDP(t)
	}
	o := v.container.attempts(t, name, stranger)
	t.Logf("%s: %s", name, o.Text)
	if o.Errno != want.errno {
		t.Errorf("%s: the kernel says %q (%v), want %v", name, o.Text, o.Errno, want.errno)
	}
	if same && v.pod.XDP(t) != before {
		t.Errorf("%s: %+v is on the interface, want %+v", name, v.pod.XDP(t), before)
	}
	ns := v.pod.NetNS
	if name == "move to another namespace" && want.errno == 0 {
		ns = v.elsewhere
		upAgain(t, ns)
	}
	v.wantFate(t, name, ns, want.then)
	if want.errno == 0 { // what was refused shows in what is still on the interface
		v.wantCheck(t, want.check)
	}
}

func (v victim) wantFate(t *testing.T, what, ns string, want fate) {
	t.Helper()
	if _, err := netlink.LinkByName(v.pod.Host); want == cut && errors.As(err, new(netlink.LinkNotFoundError)) {
		return
	}
	wantFate(t, what, v.pod.Host, ns, want)
}

func (v victim) wantCheck(t *testing.T, word string) {
	t.Helper()
	_, err := v.pod.Call(t, "CHECK", v.conf)
	switch {
	case err == nil && word != "":
		t.Errorf("CHECK finds nothing, want %q", word)
	case err != nil && word == "":
		t.Errorf("CHECK: %s", plugintest.Describe(err))
	case err != nil:
		t.Logf("CHECK: %s", plugintest.Describe(err))
		plugintest.WantError(t, "CHECK", err, err.Code, word)
	}
}

// upAgain brings an interface up that came from another namespace, which takes it down.
func upAgain(t *testing.T, ns string) {
	t.Helper()
	testenv.InNetNS(t, ns, func() error { return up("eth0") })
}

// A program on a bridge or the like that the pod puts on top of its interface makes the
// kernel refuse netlink changes below it, ours too. A link is updated all the same.
func TestChangeBelowProgramOnTop(t *testing.T) {
	for _, h := range []held{linkNative, netlinkNative, inLibxdp} {
		t.Run(h.name, func(t *testing.T) {
			if h.need != nil {
				h.need(t)
			}
			v := newVictim(t, h, netAdminBPF, false)
			if o := v.container.attempts(t, "bridge with XDP on top", false); o.Errno != 0 {
				t.Fatalf("bridge with XDP on top: %s", o.Text)
			}
			changed := v.pod.Chained(h.config, closing(10), fields{"name": "count"})
			if h.link {
				v.pod.Must(t, "ADD", changed)
				v.pod.Must(t, "CHECK", changed)
			} else {
				_, err := v.pod.Call(t, "ADD", changed)
				if err == nil { // before 5.15 it takes both
					testenv.NeedKernel(t, fmt.Errorf("one program for a bridge and its ports: %w", ebpf.ErrNotSupported))
				}
				plugintest.WantError(t, "ADD", err, 101, "br0", "intruder")
				v.pod.Must(t, "CHECK", v.conf)
			}
			v.wantFate(t, "after a change", v.pod.NetNS, decides)
		})
	}
}
