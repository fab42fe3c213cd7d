// SPDX-License-Identifier: Apache-2.0

package netdev

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/cilium/ebpf/link"
	"github.com/google/go-cmp/cmp"

	"github.com/xdp-chain/xdp-chain/internal/testenv"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
)

// programsIn are the programs that are on the interfaces of a namespace, by name.
func programsIn(t *testing.T, n *NetNS) map[string][]Attached {
	t.Helper()
	hooks, err := n.Hooks()
	if err != nil {
		t.Fatal(err)
	}
	found := make(map[string][]Attached)
	for _, h := range hooks {
		if want := byName(t, n, h.Name); h.Index != want.Index || h.MTU != want.MTU || h.Kind != want.Kind {
			t.Errorf("%s is listed as %+v and looked up as %+v", h.Name, h.Interface, want)
		}
		found[h.Name] = h.Programs
	}
	return found
}

func TestHooks(t *testing.T) {
	testenv.NoLeaks(t)
	pod, host := pair(t, 1500)
	if diff := cmp.Diff(map[string][]Attached{"lo": nil, "eth0": nil}, programsIn(t, pod.NetNS)); diff != "" {
		t.Error(diff)
	}
	native, generic := program(t, "native", xdpPass, false), program(t, "generic", xdpPass, false)
	mustHold(t, pod, chain.AttachLink, AttachOptions{Program: native, Mode: chain.ModeNative})
	mustHold(t, byName(t, pod.NetNS, "lo"), chain.AttachNetlink, AttachOptions{Program: generic, Mode: chain.ModeGeneric})
	want := map[string][]Attached{
		"lo":   {{ProgramID: id(t, generic), Mode: chain.ModeGeneric}},
		"eth0": {{ProgramID: id(t, native), Mode: chain.ModeNative}},
	}
	if diff := cmp.Diff(want, programsIn(t, pod.NetNS)); diff != "" {
		t.Error(diff)
	}
	if programs, ok := programsIn(t, host.NetNS)[host.Name]; !ok || len(programs) != 0 {
		t.Errorf("the peer has %v, listed %t", programs, ok)
	}
}

// Two links and a program on the same index of several namespaces: what a link holds is
// never said to be held by netlink, or the other way round.
func TestHeldBy(t *testing.T) {
	testenv.NoLeaks(t)
	pass := program(t, "pass", xdpPass, false)
	var pods []*Interface
	for range 3 {
		pod, _ := pair(t, 1500)
		pods = append(pods, pod)
	}
	l, _ := mustHold(t, pods[0], chain.AttachLink, AttachOptions{Program: pass, Mode: chain.ModeNative})
	mustHold(t, pods[1], chain.AttachNetlink, AttachOptions{Program: pass, Mode: chain.ModeNative})
	info, err := l.Info()
	if err != nil {
		t.Fatal(err)
	}
	carried := Attached{ProgramID: id(t, pass), Mode: chain.ModeNative}
	byLink, byNetlink := carried, carried
	byLink.Attach, byLink.LinkID, byNetlink.Attach = chain.AttachLink, info.ID, chain.AttachNetlink
	wantHeldBy(t, pods[0], carried, byLink)
	wantHeldBy(t, pods[1], carried, byNetlink)

	mustHold(t, pods[2], chain.AttachLink, AttachOptions{Program: pass, Mode: chain.ModeNative})
	byLink.LinkID = 0
	for _, pod := range []*Interface{pods[0], pods[2]} {
		wantHeldBy(t, pod, carried, byLink)
	}
	wantHeldBy(t, pods[1], carried, byNetlink)
}

func wantHeldBy(t *testing.T, i *Interface, a, want Attached) {
	t.Helper()
	links, err := FindLinks()
	if err != nil {
		t.Fatal(err)
	}
	if got, err := i.HeldBy(a, links); err != nil || got != want {
		t.Errorf("%s: %v, %v; want %v", i.NetNS.Path(), got, err, want)
	}
}

// Links that come and go while all are looked at are no fault.
func TestEachLinkWhileLinksAreMade(t *testing.T) {
	testenv.NoLeaks(t)
	i, _ := pair(t, 0)
	p := program(t, "pass", 2, false)
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	var maker sync.WaitGroup
	maker.Go(func() {
		for ctx.Err() == nil {
			l, _, err := i.AttachLink(AttachOptions{Program: p, Mode: chain.ModeGeneric})
			if err != nil {
				t.Error(err)
				return
			}
			if err := errors.Join(l.Detach(), l.Close()); err != nil {
				t.Error(err)
				return
			}
		}
	})
	for ctx.Err() == nil {
		if err := EachLink(func(link.Link) {}); err != nil {
			t.Error(err)
			break
		}
	}
	maker.Wait()
}
