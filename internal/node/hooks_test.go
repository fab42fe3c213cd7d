// SPDX-License-Identifier: Apache-2.0

package node

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/cilium/ebpf/link"
	"github.com/google/go-cmp/cmp"

	"github.com/xdp-chain/xdp-chain/internal/config"
	"github.com/xdp-chain/xdp-chain/internal/node/inspect"
	"github.com/xdp-chain/xdp-chain/internal/node/state"
	"github.com/xdp-chain/xdp-chain/internal/record"
	"github.com/xdp-chain/xdp-chain/internal/testenv"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
	"github.com/xdp-chain/xdp-chain/pkg/netdev"
)

func hooksOf(t *testing.T, n *Node, q inspect.HookQuery) []inspect.Hook {
	t.Helper()
	hooks, err := inspect.Hooks(n.Node, q)
	if err != nil {
		t.Fatal(err)
	}
	return hooks
}

// hook finds the pod's hook on one side among all there are.
func (p *pod) hook(t *testing.T, n *Node, side config.Side) inspect.Hook {
	t.Helper()
	iface := p.open(t, side)
	defer iface.NetNS.Close()
	return keyedHook(t, hooksOf(t, n, inspect.HookQuery{}), iface.Key())
}

func keyedHook(t *testing.T, hooks []inspect.Hook, key chain.Key) inspect.Hook {
	t.Helper()
	i := slices.IndexFunc(hooks, func(h inspect.Hook) bool { return h.Key == key })
	if i < 0 {
		t.Fatalf("no hook %s in %+v", key, hooks)
	}
	return hooks[i]
}

func TestHooksOfChains(t *testing.T) {
	for _, w := range ways {
		t.Run(w.String(), func(t *testing.T) {
			testenv.NoLeaks(t)
			n, p := Default(), w.pod(t)
			p.apply(t, n, append(programs("count", "pass"), onHost(programs("drop")[0]))...)
			hooks := hooksOf(t, n, inspect.HookQuery{})
			if len(hooks) != 2 {
				t.Errorf("%d hooks, want 2: %+v", len(hooks), hooks)
			}
			for side, members := range map[config.Side][]string{config.PodSide: {"count", "pass"}, config.HostSide: {"drop"}} {
				c, iface := p.chain(t, n, side), p.open(t, side)
				h, carried := keyedHook(t, hooks, c.Key), p.attached(t, side)
				want := inspect.Hook{
					NetNS: c.NetNS, Interface: iface.Name, Ifindex: iface.Index, Key: c.Key, Owner: inspect.ChainOwner, Mode: chain.ModeNative,
					ProgramID: uint32(carried.ProgramID), Name: map[chain.Dispatcher]string{chain.DispatcherLinked: "xdp_chain", chain.DispatcherLibxdp: "xdp_dispatcher"}[w.dispatcher],
					Tag: h.Tag, Attach: w.attach, Dispatcher: w.dispatcher, State: new(state.Running),
				}
				for _, m := range c.Members {
					want.Members = append(want.Members, m)
				}
				for i := range h.Members {
					if (len(h.Members[i].Tag) == 16) != (w.dispatcher == chain.DispatcherLibxdp) {
						t.Errorf("tag %q of member %s", h.Members[i].Tag, h.Members[i].Name)
					}
					h.Members[i].Tag = ""
				}
				if diff := cmp.Diff(want, h); diff != "" || len(h.Tag) != 16 || len(h.Members) != len(members) {
					t.Errorf("side %s: %s", side, diff)
				}
				iface.NetNS.Close()
			}
			p.remove(t, n)
			if left := hooksOf(t, n, inspect.HookQuery{}); len(left) > 0 {
				t.Errorf("left: %+v", left)
			}
		})
	}
}

func TestHooksOfOthers(t *testing.T) {
	testenv.NoLeaks(t)
	n, p := Default(), newPod(t, 0)
	p.occupy(t, config.PodSide)
	iface := p.open(t, config.HostSide)
	defer iface.NetNS.Close()
	l, placed, err := iface.AttachLink(netdev.AttachOptions{Program: foreignProgram(t), Mode: chain.ModeGeneric})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	pin := filepath.Join(n.BPFFS.Root, "others")
	if err := errors.Join(n.BPFFS.Ensure(), l.Pin(pin)); err != nil {
		t.Fatal(err)
	}
	defer os.Remove(pin)

	byNetlink, byLink := p.hook(t, n, config.PodSide), p.hook(t, n, config.HostSide)
	if byNetlink.Owner != inspect.ForeignOwner || byNetlink.Attach != chain.AttachNetlink || byNetlink.Holder != nil || byNetlink.Mode != chain.ModeNative || byNetlink.Members != nil {
		t.Errorf("by netlink: %+v", byNetlink)
	}
	if byLink.Owner != inspect.ForeignOwner || byLink.Attach != chain.AttachLink || byLink.Holder == nil || byLink.Mode != placed.Mode {
		t.Fatalf("by link: %+v", byLink)
	}
	want := &inspect.HookHolder{LinkID: linkID(t, l), Pins: []string{pin}, Processes: []inspect.HolderProcess{{PID: os.Getpid(), Name: ownName(t)}}}
	if diff := cmp.Diff(want, byLink.Holder); diff != "" {
		t.Error(diff)
	}
}

func linkID(t *testing.T, l link.Link) uint32 {
	t.Helper()
	info, err := l.Info()
	if err != nil {
		t.Fatal(err)
	}
	return uint32(info.ID)
}

func ownName(t *testing.T) string {
	t.Helper()
	name, err := os.ReadFile("/proc/self/comm")
	if err != nil {
		t.Fatal(err)
	}
	return string(name[:len(name)-1])
}

// A chain whose record was lost is foreign, and its pin tells that it was one.
func TestHookOfALostRecord(t *testing.T) {
	testenv.KernelIndependent(t)
	n, p := Default(), newPod(t, 0)
	p.apply(t, n, programs("count")...)
	key := p.chain(t, n, config.PodSide).Key
	file := filepath.Join(n.Records.Root, "chains", key.String()+".json")
	kept, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	h := p.hook(t, n, config.PodSide)
	pin := filepath.Join(n.BPFFS.Root, "xdp-chain/chains", key.String(), "link")
	if h.Owner != inspect.ForeignOwner || h.Holder == nil || !cmp.Equal(h.Holder.Pins, []string{pin}) {
		t.Errorf("got %+v, %+v", h, h.Holder)
	}
	if err := os.WriteFile(file, kept, 0o600); err != nil {
		t.Fatal(err)
	}
	p.remove(t, n)
}

func TestHooksOfLibxdpsTools(t *testing.T) {
	testenv.NeedFreplace(t)
	testenv.NoLeaks(t)
	n, p := Default(), newPod(t, 0)
	x := p.tool(t, n)
	x.change(t, n, all(), 15, "pass", "drop")
	h := p.hook(t, n, config.PodSide)
	if h.Owner != inspect.LibxdpOwner || h.Dispatcher != chain.DispatcherLibxdp || h.Attach != chain.AttachNetlink || len(h.Members) != 2 {
		t.Fatalf("got %+v", h)
	}
	for _, m := range h.Members {
		if m.ID != 0 || m.Priority != 15 || m.Owner.Kind != record.OwnerLibxdp || m.ProgramID == 0 || len(m.Tag) != 16 {
			t.Errorf("got %+v", m)
		}
	}
	p.apply(t, n, programs("count")...)
	if h = p.hook(t, n, config.PodSide); h.Owner != inspect.ChainOwner || len(h.Members) != 3 || h.Members[0].Name != "count" || h.Members[0].ID == 0 {
		t.Errorf("once we joined: %+v", h)
	}
	p.remove(t, n)
	x.change(t, n, func(state.Slot) bool { return false }, 0)
	// Our record stayed for the sake of their pins.
	if err := n.Sweep(t.Context(), 16); err != nil {
		t.Error(err)
	}
}

func TestHookQuery(t *testing.T) {
	testenv.KernelIndependent(t)
	n, p, q := Default(), newPod(t, 0), newPod(t, 0)
	p.apply(t, n, append(programs("count"), onHost(programs("pass")[0]))...)
	q.apply(t, n, programs("count")...)
	defer q.remove(t, n)
	defer p.remove(t, n)
	for _, tt := range []struct {
		query inspect.HookQuery
		want  []string // interface and whose
	}{
		{inspect.HookQuery{}, []string{p.host + " chain", "eth0 chain", "eth0 chain"}},
		{inspect.HookQuery{Interface: "eth0"}, []string{"eth0 chain", "eth0 chain"}},
		{inspect.HookQuery{NetNS: p.NetNS}, []string{"eth0 chain"}},
		{inspect.HookQuery{NetNS: netdev.CurrentPath}, []string{p.host + " chain"}},
		{inspect.HookQuery{NetNS: p.NetNS, Interface: "lo"}, []string{"lo none"}},
		{inspect.HookQuery{Interface: q.host}, []string{q.host + " none"}},
	} {
		var got []string
		for _, h := range hooksOf(t, n, tt.query) {
			got = append(got, h.Interface+" "+h.Owner.String())
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%+v: %s", tt.query, diff)
		}
	}
	for _, tt := range []struct {
		query inspect.HookQuery
		want  error
	}{
		{inspect.HookQuery{Interface: "eth7"}, netdev.ErrNoInterface},
		{inspect.HookQuery{NetNS: p.NetNS, Interface: "eth7"}, netdev.ErrNoInterface},
		{inspect.HookQuery{NetNS: "/run/netns/gone"}, netdev.ErrNetNSGone},
	} {
		if _, err := inspect.Hooks(n.Node, tt.query); !errors.Is(err, tt.want) {
			t.Errorf("%+v: %v, want %v", tt.query, err, tt.want)
		}
	}
}

// While a chain is swapped again and again, its hook never is anybody else's.
func TestHooksDuringSwaps(t *testing.T) {
	testenv.KernelIndependent(t)
	testenv.NoLeaks(t)
	n, p := Default(), newPod(t, 0)
	p.apply(t, n, programs("count")...)
	done := make(chan error, 1)
	go func() {
		var err error
		for i := 0; i < 10 && err == nil; i++ {
			a := p.Attachment
			a.Programs = programs("count", []string{"pass", "drop"}[i%2])
			err = n.Apply(t.Context(), a)
		}
		done <- err
	}()
	for looks := 0; ; looks++ {
		for _, h := range hooksOf(t, n, inspect.HookQuery{NetNS: p.NetNS}) {
			if h.Owner != inspect.ChainOwner {
				t.Errorf("look %d: %+v", looks, h)
			}
		}
		select {
		case err := <-done:
			if err != nil {
				t.Error(err)
			}
			p.remove(t, n)
			return
		default:
		}
	}
}
