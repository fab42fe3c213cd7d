// SPDX-License-Identifier: Apache-2.0

package inspect_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/cilium/ebpf/link"
	"github.com/google/go-cmp/cmp"

	"github.com/xdp-chain/xdp-chain/internal/config"
	"github.com/xdp-chain/xdp-chain/internal/enum/enumtest"
	"github.com/xdp-chain/xdp-chain/internal/node"
	"github.com/xdp-chain/xdp-chain/internal/node/inspect"
	"github.com/xdp-chain/xdp-chain/internal/node/nodetest"
	"github.com/xdp-chain/xdp-chain/internal/node/state"
	"github.com/xdp-chain/xdp-chain/internal/record"
	"github.com/xdp-chain/xdp-chain/internal/testenv"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
	"github.com/xdp-chain/xdp-chain/pkg/netdev"
)

func TestMain(m *testing.M) { testenv.Main(m) }

func hooksOf(t *testing.T, n *node.Node, q inspect.HookQuery) []inspect.Hook {
	t.Helper()
	hooks, err := inspect.Hooks(n.Node, q)
	if err != nil {
		t.Fatal(err)
	}
	return hooks
}

// hook finds the pod's hook on one side among all there are.
func hook(t *testing.T, p *nodetest.Pod, n *node.Node, side config.Side) inspect.Hook {
	t.Helper()
	iface := p.Open(t, side)
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
	for _, w := range nodetest.Ways {
		t.Run(w.String(), func(t *testing.T) {
			testenv.NoLeaks(t)
			n, p := node.Default(), w.Pod(t)
			p.Apply(t, n, append(nodetest.Programs("count", "pass"), nodetest.OnHost(nodetest.At(10, "drop")))...)
			hooks := hooksOf(t, n, inspect.HookQuery{})
			if len(hooks) != 2 {
				t.Errorf("%d hooks, want 2: %+v", len(hooks), hooks)
			}
			for side, members := range map[config.Side][]string{config.PodSide: {"count", "pass"}, config.HostSide: {"drop"}} {
				c, iface := p.Chain(t, n, side), p.Open(t, side)
				h, carried := keyedHook(t, hooks, c.Key), p.Attached(t, side)
				want := inspect.Hook{
					NetNS: c.NetNS, Interface: iface.Name, Ifindex: iface.Index, Key: c.Key, Owner: inspect.ChainOwner, Mode: chain.ModeNative,
					ProgramID: uint32(carried.ProgramID), Name: map[chain.Dispatcher]string{chain.DispatcherLinked: "xdp_chain", chain.DispatcherLibxdp: "xdp_dispatcher"}[w.Dispatcher],
					Tag: h.Tag, Attach: w.Attach, Dispatcher: w.Dispatcher, State: new(state.Running),
				}
				want.Members = append(want.Members, c.Members...)
				for i := range h.Members {
					if (len(h.Members[i].Tag) == 16) != (w.Dispatcher == chain.DispatcherLibxdp) {
						t.Errorf("tag %q of member %s", h.Members[i].Tag, h.Members[i].Name)
					}
					h.Members[i].Tag = ""
				}
				if diff := cmp.Diff(want, h); diff != "" || len(h.Tag) != 16 || len(h.Members) != len(members) {
					t.Errorf("side %s: %s", side, diff)
				}
				iface.NetNS.Close()
			}
			p.Remove(t, n)
			if left := hooksOf(t, n, inspect.HookQuery{}); len(left) > 0 {
				t.Errorf("left: %+v", left)
			}
		})
	}
}

func TestHooksOfOthers(t *testing.T) {
	testenv.NoLeaks(t)
	n, p := node.Default(), nodetest.NewPod(t, 0)
	p.Occupy(t, config.PodSide)
	iface := p.Open(t, config.HostSide)
	defer iface.NetNS.Close()
	l, placed, err := iface.AttachLink(netdev.AttachOptions{Program: nodetest.ForeignProgram(t), Mode: chain.ModeGeneric})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	pin := filepath.Join(n.BPFFS.Root, "others")
	if err := errors.Join(n.BPFFS.Ensure(), l.Pin(pin)); err != nil {
		t.Fatal(err)
	}
	defer os.Remove(pin)

	byNetlink, byLink := hook(t, p, n, config.PodSide), hook(t, p, n, config.HostSide)
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
	n, p := node.Default(), nodetest.NewPod(t, 0)
	p.Apply(t, n, nodetest.Programs("count")...)
	key := p.Key(t, config.PodSide)
	file := nodetest.Record(n, key)
	kept, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	h := hook(t, p, n, config.PodSide)
	pin := filepath.Join(p.Folder(t, n), "link")
	if h.Owner != inspect.ForeignOwner || h.Holder == nil || !cmp.Equal(h.Holder.Pins, []string{pin}) {
		t.Errorf("got %+v, %+v", h, h.Holder)
	}
	if err := os.WriteFile(file, kept, 0o600); err != nil {
		t.Fatal(err)
	}
	p.Remove(t, n)
}

func TestHooksOfLibxdpsTools(t *testing.T) {
	testenv.NeedFreplace(t)
	testenv.NoLeaks(t)
	n, p := node.Default(), nodetest.NewPod(t, 0)
	x := p.Tool(t, n)
	x.Change(t, n, nodetest.All, 15, "pass", "drop")
	h := hook(t, p, n, config.PodSide)
	if h.Owner != inspect.LibxdpOwner || h.Dispatcher != chain.DispatcherLibxdp || h.Attach != chain.AttachNetlink || len(h.Members) != 2 {
		t.Fatalf("got %+v", h)
	}
	for _, m := range h.Members {
		if m.ID != 0 || m.Priority != 15 || m.Owner.Kind != record.OwnerLibxdp || m.ProgramID == 0 || len(m.Tag) != 16 {
			t.Errorf("got %+v", m)
		}
	}
	p.Apply(t, n, nodetest.Programs("count")...)
	if h = hook(t, p, n, config.PodSide); h.Owner != inspect.ChainOwner || len(h.Members) != 3 || h.Members[0].Name != "count" || h.Members[0].ID == 0 {
		t.Errorf("once we joined: %+v", h)
	}
	p.Remove(t, n)
	x.Change(t, n, nodetest.None, 0)
	// Our record stayed for the sake of their pins.
	nodetest.Sweep(t, n)
}

func TestHookQuery(t *testing.T) {
	testenv.KernelIndependent(t)
	n, p, q := node.Default(), nodetest.NewPod(t, 0), nodetest.NewPod(t, 0)
	p.Apply(t, n, append(nodetest.Programs("count"), nodetest.OnHost(nodetest.At(10, "pass")))...)
	q.Apply(t, n, nodetest.Programs("count")...)
	defer q.Remove(t, n)
	defer p.Remove(t, n)
	for _, tt := range []struct {
		query inspect.HookQuery
		want  []string // interface and whose
	}{
		{inspect.HookQuery{}, []string{p.Host + " chain", "eth0 chain", "eth0 chain"}},
		{inspect.HookQuery{Interface: "eth0"}, []string{"eth0 chain", "eth0 chain"}},
		{inspect.HookQuery{NetNS: p.NetNS}, []string{"eth0 chain"}},
		{inspect.HookQuery{NetNS: netdev.CurrentPath}, []string{p.Host + " chain"}},
		{inspect.HookQuery{NetNS: p.NetNS, Interface: "lo"}, []string{"lo none"}},
		{inspect.HookQuery{Interface: q.Host}, []string{q.Host + " none"}},
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
	n, p := node.Default(), nodetest.NewPod(t, 0)
	p.Apply(t, n, nodetest.Programs("count")...)
	done := make(chan error, 1)
	go func() {
		var err error
		for i := 0; i < 10 && err == nil; i++ {
			a := p.Attachment
			a.Programs = nodetest.Programs("count", []string{"pass", "drop"}[i%2])
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
			p.Remove(t, n)
			return
		default:
		}
	}
}

func TestHookOwner(t *testing.T) {
	enumtest.PrintAndParse(t, map[inspect.HookOwner]string{
		0: "none", inspect.ChainOwner: "chain", inspect.LibxdpOwner: "libxdp", inspect.ForeignOwner: "foreign",
	})
	enumtest.Refuse(t, chain.ErrInvalid, []string{"", "0", "Chain", "OK", (inspect.ForeignOwner + 1).String()}, inspect.ForeignOwner+1)
}
