// SPDX-License-Identifier: Apache-2.0

package nodetest

import (
	"errors"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/xdp-chain/xdp-chain/internal/catalog"
	"github.com/xdp-chain/xdp-chain/internal/config"
	"github.com/xdp-chain/xdp-chain/internal/node"
	"github.com/xdp-chain/xdp-chain/internal/node/inspect"
	"github.com/xdp-chain/xdp-chain/internal/node/state"
	"github.com/xdp-chain/xdp-chain/internal/record"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
	"github.com/xdp-chain/xdp-chain/pkg/dispatcher"
	"github.com/xdp-chain/xdp-chain/pkg/dispatcher/libxdp"
	"github.com/xdp-chain/xdp-chain/pkg/netdev"
	"github.com/xdp-chain/xdp-chain/pkg/object"
	"github.com/xdp-chain/xdp-chain/pkg/pin"
)

// NewLibxdpPod is a pod whose chains are to be libxdp's.
func NewLibxdpPod(t *testing.T) *Pod {
	t.Helper()
	p := NewPod(t, 0)
	p.Dispatcher = chain.DispatcherLibxdp
	return p
}

// Tool does to a pod's interface what libxdp's tools do: it puts the built-ins named at
// the given priority into its chain, and takes off those it is told to.
type Tool struct {
	Pod     *Pod
	Tree    pin.Libxdp
	Version chain.LibxdpVersion // of the dispatchers that it makes
}

// Tool is one that pins in the tree of the pod's namespace. Our folders on bpffs are made
// first: no change may have come before it.
func (p *Pod) Tool(t *testing.T, n *node.Node) Tool {
	t.Helper()
	if err := n.BPFFS.Ensure(); err != nil {
		t.Fatal(err)
	}
	return Tool{Pod: p, Tree: n.BPFFS.Libxdp(p.Key(t, config.PodSide).Cookie)}
}

// All has every member stay.
func All(state.Slot) bool { return true }

// None has no member stay.
func None(state.Slot) bool { return false }

// AllBut has every member stay but those of a function.
func AllBut(function string) func(state.Slot) bool {
	return func(s state.Slot) bool { return s.Function != function }
}

// Change makes a new dispatcher of the members that stay and of built-ins.
func (x Tool) Change(t *testing.T, n *node.Node, stays func(state.Slot) bool, priority int, names ...string) {
	t.Helper()
	if err := x.Try(t, n, stays, priority, names...); err != nil {
		t.Fatal(err)
	}
}

// Try is Change where the chain may be changed by others meanwhile.
func (x Tool) Try(t *testing.T, n *node.Node, stays func(state.Slot) bool, priority int, names ...string) error {
	t.Helper()
	iface := x.Pod.Open(t, config.PodSide)
	defer iface.NetNS.Close()
	rec := &record.Record{Key: iface.Key(), NetNS: x.Pod.NetNS}
	found, err := n.FindLibxdp(rec, iface)
	if err != nil {
		return err
	}
	defer found.Close()
	var members []dispatcher.Member
	if found != nil {
		for i, s := range found.Slots {
			if stays(s) {
				members = append(members, found.Others()[i])
			}
		}
	}
	for _, name := range names {
		members = append(members, builtin(t, name, priority))
	}
	lock, err := x.Tree.Lock(t.Context())
	if err != nil {
		return err
	}
	defer lock.Unlock()
	if len(members) > 0 {
		err = x.swap(t, iface, lock, members, found)
	} else if found != nil {
		err = iface.DetachNetlink(found.Dispatcher, found.Mode)
	}
	if err == nil && found != nil {
		err = lock.Unpin(pin.Dispatch{Ifindex: iface.Index, ID: ebpf.ProgramID(found.ID)})
	}
	return err
}

func (x Tool) swap(t *testing.T, iface *netdev.Interface, lock *pin.LibxdpLocked, members []dispatcher.Member, found *state.LibxdpChain) error {
	t.Helper()
	built, err := libxdp.New(x.Version).Build(t.Context(), members, dispatcher.Options{})
	if err != nil {
		return err
	}
	defer built.Close()
	id, err := state.ProgramID(built.Program)
	if err != nil {
		return err
	}
	var slots []pin.Slot
	for _, s := range built.Slots {
		slots = append(slots, pin.Slot{Program: s.Program, Link: s.Link})
	}
	d := pin.Dispatch{Ifindex: iface.Index, ID: ebpf.ProgramID(id)}
	if err := lock.Pin(d, slots); err != nil {
		return err
	}
	if found == nil {
		_, err = iface.AttachNetlink(netdev.AttachOptions{Program: built.Program, Mode: chain.ModeNative})
	} else {
		err = iface.ReplaceNetlink(built.Program, found.Dispatcher, found.Mode, built.Frags)
	}
	if err != nil {
		return errors.Join(err, lock.Unpin(d))
	}
	return nil
}

func builtin(t *testing.T, name string, priority int) dispatcher.Member {
	t.Helper()
	entry, err := catalog.Builtin(name)
	if err != nil {
		t.Fatal(err)
	}
	obj, err := object.New(entry.Origin, entry.Content)
	if err != nil {
		t.Fatal(err)
	}
	program, err := obj.Program(entry.Function)
	if err != nil {
		t.Fatal(err)
	}
	return dispatcher.Member{
		Member: chain.Member{Name: name, Function: program.Function, Priority: priority, ProceedOn: chain.DefaultProceedOn},
		Spec:   program.Spec,
	}
}

// Shows compares the members that are listed on the pod's side: name, priority, and whose
// they are.
func (p *Pod) Shows(t *testing.T, n *node.Node, want ...inspect.Member) {
	t.Helper()
	c := p.Chain(t, n, config.PodSide)
	if c == nil {
		t.Fatal("the chain is not listed")
	}
	ignored := cmp.Options{
		cmpopts.IgnoreFields(inspect.Member{}, "ProgramID", "ID", "CreatedAt"), cmpopts.IgnoreFields(chain.Member{}, "Function", "ProceedOn"),
		cmpopts.IgnoreFields(record.Owner{}, "Network", "ContainerID", "Ifname", "PodNamespace", "PodName"),
	}
	if diff := cmp.Diff(want, c.Members, ignored); diff != "" {
		t.Errorf("members (-want +got):\n%s", diff)
	}
}

// Ours is a member of a pod's, for [Pod.Shows].
func Ours(position int, name string, priority int) inspect.Member {
	return inspect.Member{Member: chain.Member{Name: name, Priority: priority}, Position: position}
}

// Theirs is a member that libxdp's tools put into the chain, for [Pod.Shows].
func Theirs(position int, name string, priority int) inspect.Member {
	m := Ours(position, name, priority)
	m.Owner.Kind = record.OwnerLibxdp
	return m
}

// Vanish has the interface go, and with it what others have left on it.
func (p *Pod) Vanish(t *testing.T, n *node.Node) {
	t.Helper()
	p.DeleteVeth(t)
	Sweep(t, n)
}
