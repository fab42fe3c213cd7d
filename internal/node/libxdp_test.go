// SPDX-License-Identifier: Apache-2.0

package node

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/xdp-chain/xdp-chain/internal/catalog"
	"github.com/xdp-chain/xdp-chain/internal/config"
	"github.com/xdp-chain/xdp-chain/internal/node/inspect"
	"github.com/xdp-chain/xdp-chain/internal/node/state"
	"github.com/xdp-chain/xdp-chain/internal/record"
	"github.com/xdp-chain/xdp-chain/internal/testenv"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
	"github.com/xdp-chain/xdp-chain/pkg/dispatcher"
	"github.com/xdp-chain/xdp-chain/pkg/dispatcher/libxdp"
	"github.com/xdp-chain/xdp-chain/pkg/netdev"
	"github.com/xdp-chain/xdp-chain/pkg/object"
	"github.com/xdp-chain/xdp-chain/pkg/pin"
)

// newLibxdpPod is a pod whose chains are to be libxdp's.
func newLibxdpPod(t *testing.T) *pod {
	t.Helper()
	p := newPod(t, 0)
	p.Dispatcher = chain.DispatcherLibxdp
	return p
}

// tool does to a pod's interface what libxdp's tools do: it puts the built-ins named at
// the given priority into its chain, and takes off those it is told to.
type tool struct {
	pod     *pod
	tree    pin.Libxdp
	version chain.LibxdpVersion // of the dispatchers that it makes
}

func (p *pod) tool(t *testing.T, n *Node) tool {
	t.Helper()
	iface := p.open(t, config.PodSide)
	defer iface.NetNS.Close()
	return tool{pod: p, tree: n.BPFFS.Libxdp(iface.NetNS.Cookie())}
}

// all has every member stay.
func all() func(state.Slot) bool { return func(state.Slot) bool { return true } }

// change makes a new dispatcher of the members that stay and of built-ins.
func (x tool) change(t *testing.T, n *Node, stays func(state.Slot) bool, priority int, names ...string) {
	t.Helper()
	if err := x.try(t, n, stays, priority, names...); err != nil {
		t.Fatal(err)
	}
}

func (x tool) try(t *testing.T, n *Node, stays func(state.Slot) bool, priority int, names ...string) error {
	t.Helper()
	iface := x.pod.open(t, config.PodSide)
	defer iface.NetNS.Close()
	rec := &record.Record{Key: iface.Key(), NetNS: x.pod.NetNS}
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
	lock, err := x.tree.Lock(t.Context())
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

func (x tool) swap(t *testing.T, iface *netdev.Interface, lock *pin.LibxdpLocked, members []dispatcher.Member, found *state.LibxdpChain) error {
	t.Helper()
	built, err := libxdp.New(x.version).Build(t.Context(), members, dispatcher.Options{})
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

// shows compares the members that are listed: name, priority, and whose they are.
func (p *pod) shows(t *testing.T, n *Node, want ...inspect.Member) {
	t.Helper()
	c := p.listed(t, n)
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

// listed finds the chain of the pod's side, whoever has members in it.
func (p *pod) listed(t *testing.T, n *Node) *inspect.Chain {
	t.Helper()
	list, err := inspect.List(n.Node)
	if err != nil {
		t.Fatal(err)
	}
	iface := p.open(t, config.PodSide)
	defer iface.NetNS.Close()
	if i := slices.IndexFunc(list, func(c inspect.Chain) bool { return c.Key == iface.Key() }); i >= 0 {
		return &list[i]
	}
	return nil
}

func ours(position int, name string, priority int) inspect.Member {
	return inspect.Member{Member: chain.Member{Name: name, Priority: priority}, Position: position}
}

func theirs(position int, name string, priority int) inspect.Member {
	m := ours(position, name, priority)
	m.Owner.Kind = record.OwnerLibxdp
	return m
}

func TestLibxdpApplyAndRemove(t *testing.T) {
	testenv.NeedFreplace(t)
	testenv.NoLeaks(t)
	n, p := Default(), newLibxdpPod(t)
	p.apply(t, n, append(programs("count", "pass", "drop"), onHost(programs("count")[0]))...)
	p.check(t, n)
	c := p.listed(t, n)
	if c.Dispatcher != chain.DispatcherLibxdp || c.Attach != chain.AttachNetlink || c.DispatcherReason != "asked for" || c.LibxdpVersion != chain.LibxdpV2 {
		t.Errorf("got %+v", c)
	}
	p.shows(t, n, ours(0, "count", 10), ours(1, "pass", 20), ours(2, "drop", 30))
	p.send(t, n, 7)

	stats, err := inspect.Stats(n.Node)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range stats {
		if len(s.Rows) != 0 || !strings.Contains(s.Reason, "no room for counters") {
			t.Errorf("got %+v", s)
		}
	}
	// libxdp's own names, and nothing else beside them.
	id := p.attached(t, config.PodSide).ProgramID
	folder := filepath.Join(p.tool(t, n).tree.BPFFS(), "xdp", pin.Dispatch{Ifindex: c.Ifindex, ID: id}.String())
	if diff := cmp.Diff([]string{"prog0-link", "prog0-prog", "prog1-link", "prog1-prog", "prog2-link", "prog2-prog"}, names(t, folder)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"xdp"}, names(t, p.tool(t, n).tree.BPFFS())); diff != "" {
		t.Error(diff)
	}
	generation := c.Generation
	p.apply(t, n, p.Programs...)
	if again := p.listed(t, n); again.Generation != generation {
		t.Errorf("the same ADD made generation %d of %d", again.Generation, generation)
	}
	p.remove(t, n)
	p.remove(t, n)
}

func names(t *testing.T, folder string) []string {
	t.Helper()
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, e := range entries {
		list = append(list, e.Name())
	}
	return list
}

// A member that stays is the same program with the same maps.
func TestLibxdpKeepsProgramsOverAChange(t *testing.T) {
	testenv.NeedFreplace(t)
	testenv.NoLeaks(t)
	n, p := Default(), newLibxdpPod(t)
	p.apply(t, n, programs("count", "pass")...)
	before := p.listed(t, n)
	p.send(t, n, 3)
	for _, list := range [][]config.Program{programs("count"), programs("count", "drop"), programs("count", "drop", "pass", "acl")} {
		p.apply(t, n, list...)
		p.check(t, n)
		if now := p.listed(t, n); now.Members[0].ProgramID != before.Members[0].ProgramID {
			t.Errorf("count was program %d and is %d", before.Members[0].ProgramID, now.Members[0].ProgramID)
		}
	}
	p.send(t, n, 2)
	if got := p.countedIPv4(t, n); got != 5 {
		t.Errorf("count has counted %d packets of 5", got)
	}
	p.remove(t, n)
}

// Where xdp-loader was first, auto joins, and leaves what is not ours.
func TestLibxdpJoins(t *testing.T) {
	testenv.NeedFreplace(t)
	n := Default()
	for name, tree := range map[string]func(p *pod) pin.Libxdp{
		"pinned in the namespace's tree": func(p *pod) pin.Libxdp { return p.tool(t, n).tree },
		"pinned in the host's tree":      func(*pod) pin.Libxdp { return n.BPFFS.HostLibxdp() },
	} {
		t.Run(name, func(t *testing.T) {
			testenv.NoLeaks(t)
			p := newPod(t, 0)
			x := tool{pod: p, tree: tree(p)}
			x.change(t, n, all(), 15, "pass")
			p.apply(t, n, programs("count", "drop")...)
			p.check(t, n)
			if c := p.listed(t, n); c.Dispatcher != chain.DispatcherLibxdp || !strings.Contains(c.DispatcherReason, "joined") {
				t.Errorf("got %+v", c)
			}
			p.shows(t, n, ours(0, "count", 10), theirs(1, "pass", 15), ours(2, "drop", 20))
			p.send(t, n, 3)
			p.remove(t, n)
			p.shows(t, n, theirs(0, "pass", 15))
			if a := p.attached(t, config.PodSide); a.ProgramID == 0 {
				t.Error("nothing is left of libxdp's tools' chain")
			}
			// Once more, in and out, and then the interface goes.
			p.apply(t, n, programs("count")...)
			p.remove(t, n)
			p.vanish(t, n)
		})
	}
}

// What libxdp's tools add to our chain and take off it is theirs; what they take off of
// ours is missed.
func TestLibxdpToolsChangeOurChain(t *testing.T) {
	testenv.NeedFreplace(t)
	n := Default()
	for _, tt := range []struct {
		name   string
		change func(t *testing.T, p *pod, x tool)
		checks string // what CHECK says
		after  func(t *testing.T, p *pod, x tool)
	}{
		{"add one", func(t *testing.T, p *pod, x tool) { x.change(t, n, all(), 15, "pass") }, "", func(t *testing.T, p *pod, x tool) {
			p.shows(t, n, ours(0, "count", 10), theirs(1, "pass", 15), ours(2, "drop", 20))
			p.apply(t, n, programs("count", "drop", "acl")...)
			p.shows(t, n, ours(0, "count", 10), theirs(1, "pass", 15), ours(2, "drop", 20), ours(3, "acl", 30))
			p.check(t, n)
			p.remove(t, n)
			p.shows(t, n, theirs(0, "pass", 15))
			x.change(t, n, func(state.Slot) bool { return false }, 0)
			if err := n.Sweep(t.Context(), 16); err != nil {
				t.Error(err)
			}
			if c := p.listed(t, n); c != nil {
				t.Errorf("after all have left there still is %+v", c)
			}
		}},
		{"take one of ours off", func(t *testing.T, p *pod, x tool) {
			x.change(t, n, func(s state.Slot) bool { return s.Function != "drop" }, 0)
		}, `member "drop" (program `, func(t *testing.T, p *pod, x tool) {
			p.apply(t, n, programs("count", "drop")...)
			p.check(t, n)
		}},
		{"take all off", func(t *testing.T, p *pod, x tool) {
			x.change(t, n, func(state.Slot) bool { return false }, 0)
		}, "is gone: the interface carries no XDP program", func(t *testing.T, p *pod, x tool) {
			p.apply(t, n, programs("count", "drop")...)
			p.check(t, n)
			x.change(t, n, func(state.Slot) bool { return false }, 0)
		}},
		{"clean up our pins", func(t *testing.T, p *pod, x tool) {
			if err := os.RemoveAll(filepath.Join(x.tree.BPFFS(), "xdp")); err != nil {
				t.Fatal(err)
			}
			p.send(t, n, 1)
		}, "the pins of libxdp's dispatcher", func(t *testing.T, p *pod, x tool) {
			id := p.listed(t, n).Members[0].ProgramID
			p.apply(t, n, programs("count", "drop")...)
			p.check(t, n)
			if now := p.listed(t, n).Members[0].ProgramID; now != id {
				t.Errorf("count was program %d and is %d", id, now)
			}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			testenv.NoLeaks(t)
			p := newLibxdpPod(t)
			p.apply(t, n, programs("count", "drop")...)
			x := p.tool(t, n)
			tt.change(t, p, x)
			err := n.Check(t.Context(), p.Attachment)
			if tt.checks == "" && err != nil || tt.checks != "" && (err == nil || !strings.Contains(err.Error(), tt.checks)) {
				t.Errorf("CHECK says %v, want %q", err, tt.checks)
			}
			tt.after(t, p, x)
			p.remove(t, n)
		})
	}
}

func TestLibxdpRefusals(t *testing.T) {
	testenv.NeedFreplace(t)
	n := Default()
	eleven := make([]config.Program, 11)
	for i := range eleven {
		eleven[i] = config.Program{Name: "m" + string(rune('a'+i)), Object: absolute(t, "../../pkg/object/testdata/plain.o")}
	}
	for _, tt := range []struct {
		name   string
		before func(t *testing.T, p *pod)
		ask    func(p *pod)
		want   error
		words  string
	}{
		{"eleven", nil, func(p *pod) { p.Programs = eleven }, chain.ErrTooManyMembers, "the chain has 11, its dispatcher calls at most 10"},
		{
			"eleven with libxdp's", func(t *testing.T, p *pod) { p.tool(t, n).change(t, n, all(), 5, "pass") }, func(p *pod) { p.Programs = eleven[:10] },
			chain.ErrTooManyMembers, "the chain would have 11, of them 1 that libxdp's tools put there",
		},
		{
			"linked where libxdp's is", func(t *testing.T, p *pod) { p.tool(t, n).change(t, n, all(), 5, "pass") }, func(p *pod) { p.Dispatcher = chain.DispatcherLinked },
			netdev.ErrBusy, `use dispatcher "auto" or "libxdp" to join it`,
		},
		{
			"link where libxdp's is", func(t *testing.T, p *pod) { p.tool(t, n).change(t, n, all(), 5, "pass") }, func(p *pod) { p.Dispatcher, p.Attach = chain.DispatcherAuto, chain.AttachLink },
			netdev.ErrUnsupported, `use attach "auto" to join it`,
		},
		{
			"other version", func(t *testing.T, p *pod) { p.tool(t, n).change(t, n, all(), 5, "pass") }, func(p *pod) { p.LibxdpVersion = chain.LibxdpV3 },
			netdev.ErrUnsupported, "version 3 is asked for",
		},
		{
			"generic where native is", func(t *testing.T, p *pod) { p.tool(t, n).change(t, n, all(), 5, "pass") }, func(p *pod) { p.Mode = chain.ModeGeneric },
			netdev.ErrUnsupported, "in mode native",
		},
		{"something else is there", func(t *testing.T, p *pod) { p.occupy(t, config.PodSide) }, func(*pod) {}, netdev.ErrBusy, "carries XDP program"},
		{"a link", nil, func(p *pod) { p.Attach = chain.AttachLink }, netdev.ErrUnsupported, `use attach "auto"`},
		{"a member without BTF", nil, func(p *pod) {
			p.Programs = []config.Program{{Name: "bare", Object: absolute(t, "../../pkg/object/testdata/nobtf.o")}}
		}, dispatcher.ErrNoBTF, `member "bare"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := newLibxdpPod(t)
			if tt.before != nil {
				tt.before(t, p)
			}
			carried := p.attached(t, config.PodSide)
			p.Programs = programs("count")
			tt.ask(p)
			err := n.Apply(t.Context(), p.Attachment)
			if !errors.Is(err, tt.want) || !strings.Contains(err.Error(), tt.words) {
				t.Errorf("got %v, want %v with %q", err, tt.want, tt.words)
			}
			if now := p.attached(t, config.PodSide); now != carried {
				t.Errorf("the interface carried %v and carries %v", carried, now)
			}
			if c := p.listed(t, n); c != nil {
				t.Errorf("left: %+v", c)
			}
		})
	}
}

func TestLibxdpVersion3StaysVersion3(t *testing.T) {
	testenv.NeedFreplace(t)
	testenv.NoLeaks(t)
	n, p := Default(), newLibxdpPod(t)
	p.LibxdpVersion = chain.LibxdpV3
	p.apply(t, n, programs("count")...)
	second := *p
	second.Network, second.LibxdpVersion, second.Dispatcher = "other", chain.LibxdpVersionAuto, chain.DispatcherAuto
	second.apply(t, n, programs("pass")...)
	if c := p.listed(t, n); c.LibxdpVersion != chain.LibxdpV3 || len(c.Members) != 2 {
		t.Errorf("got %+v", c)
	}
	p.remove(t, n)
	if c := p.listed(t, n); c.LibxdpVersion != chain.LibxdpV3 || len(c.Members) != 1 {
		t.Errorf("got %+v", c)
	}
	second.remove(t, n)
}

// Tools and attachments come and go at the same time. Nobody's member is lost.
func TestLibxdpCrowd(t *testing.T) {
	rounds := 20
	if testing.Short() {
		rounds = 8
	}
	testenv.NeedFreplace(t)
	testenv.NoLeaks(t)
	n, p := Default(), newLibxdpPod(t)
	p.apply(t, n, programs("count")...)
	x := p.tool(t, n)
	done := make(chan error)
	go func() {
		defer close(done)
		for range rounds {
			for _, change := range []func() error{
				func() error { return x.try(t, n, all(), 15, "pass") },
				func() error { return x.try(t, n, func(s state.Slot) bool { return s.Function != "pass" }, 0) },
			} {
				err := change()
				for errors.Is(err, netdev.ErrBusy) || errors.Is(err, os.ErrNotExist) {
					err = change()
				}
				if err != nil {
					done <- err
					return
				}
			}
		}
	}()
	second := *p
	second.Network = "other"
	for range rounds {
		second.apply(t, n, programs("drop")...)
		p.check(t, n)
		second.check(t, n)
		second.remove(t, n)
		p.check(t, n)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	p.shows(t, n, ours(0, "count", 10))
	p.remove(t, n)
}

// Without its record, what is left of a chain is known by the links in its folder. The
// members of libxdp's tools on another interface of the namespace are not ours.
func TestLibxdpBrokenRecord(t *testing.T) {
	testenv.NeedFreplace(t)
	n, p := Default(), newLibxdpPod(t)
	p.apply(t, n, programs("count")...)
	c, tree := p.listed(t, n), p.tool(t, n).tree
	others := pin.Dispatch{Ifindex: c.Ifindex + 1, ID: 1}
	folder := filepath.Join(tree.BPFFS(), "xdp", others.String())
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	record := filepath.Join(n.Records.Root, "chains", c.Key.String()+".json")
	if err := os.WriteFile(record, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	p.remove(t, n)
	left, err := tree.Dispatches()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]pin.Dispatch{others}, left); diff != "" {
		t.Errorf("dispatchers with pins (-want +got):\n%s", diff)
	}
	if keys, err := n.Keys(); len(keys) != 0 || err != nil {
		t.Errorf("left: %v, %v", keys, err)
	}
	if err := os.RemoveAll(tree.BPFFS()); err != nil {
		t.Error(err)
	}
	if err := os.RemoveAll(filepath.Join(n.Records.Root, "broken")); err != nil {
		t.Error(err)
	}
}

// Whether members of libxdp's tools take packets of several buffers is kept when ours
// come to them, and with it whether the chain does.
func TestLibxdpKeepsFragsOfOthers(t *testing.T) {
	testenv.NeedFreplace(t)
	n := Default()
	frags := func(p *pod) (dispatcherTakes bool, slots []bool) {
		program, err := ebpf.NewProgramFromID(p.attached(t, config.PodSide).ProgramID)
		if err != nil {
			t.Fatal(err)
		}
		defer program.Close()
		config, err := libxdp.Read(program)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range config.Slots {
			slots = append(slots, s.Frags)
		}
		return config.Frags, slots
	}
	p := newPod(t, 0)
	p.tool(t, n).change(t, n, all(), 5, "pass") // the built-ins take them
	alone, _ := frags(p)
	p.apply(t, n, programs("count")...)
	together, slots := frags(p)
	if diff := cmp.Diff([]bool{true, true}, slots); diff != "" || together != alone {
		t.Errorf("the dispatcher takes frags: %t alone, %t with ours; slots: %s", alone, together, diff)
	}
	p.apply(t, n, config.Program{Name: "plain", Object: absolute(t, "../../pkg/object/testdata/plain.o")})
	together, slots = frags(p)
	if diff := cmp.Diff([]bool{true, false}, slots); diff != "" || together {
		t.Errorf("with one that takes none the dispatcher takes frags: %t; slots: %s", together, diff)
	}
	p.remove(t, n)
	if now, _ := frags(p); now != alone {
		t.Errorf("after ours left the dispatcher takes frags: %t, before they came: %t", now, alone)
	}
	p.vanish(t, n)
}

// vanish has the interface go, and with it what others have left on it.
func (p *pod) vanish(t *testing.T, n *Node) {
	t.Helper()
	p.deleteVeth(t)
	if err := n.Sweep(t.Context(), 16); err != nil {
		t.Error(err)
	}
}

// An ADD after the record was lost finds its members by their links, and has them once.
func TestLibxdpBrokenRecordThenADD(t *testing.T) {
	testenv.NeedFreplace(t)
	n := Default()
	for _, others := range []bool{false, true} {
		p := newLibxdpPod(t)
		p.apply(t, n, programs("count", "drop")...)
		want := []inspect.Member{ours(0, "count", 10), ours(1, "drop", 20)}
		if others {
			p.tool(t, n).change(t, n, all(), 15, "pass")
			want = []inspect.Member{ours(0, "count", 10), theirs(1, "pass", 15), ours(2, "drop", 20)}
		}
		record := filepath.Join(n.Records.Root, "chains", p.listed(t, n).Key.String()+".json")
		if err := os.WriteFile(record, []byte("{"), 0o600); err != nil {
			t.Fatal(err)
		}
		p.apply(t, n, programs("count", "drop")...)
		p.check(t, n)
		p.shows(t, n, want...)
		p.remove(t, n)
		if a := p.attached(t, config.PodSide); (a.ProgramID != 0) != others {
			t.Errorf("others' members there: %t; after DEL the interface carries %v", others, a)
		}
		p.vanish(t, n)
		if err := os.RemoveAll(filepath.Join(n.Records.Root, "broken")); err != nil {
			t.Error(err)
		}
	}
}
