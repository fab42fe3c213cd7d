// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/xdp-chain/xdp-chain/internal/config"
	"github.com/xdp-chain/xdp-chain/internal/crashtest"
	"github.com/xdp-chain/xdp-chain/internal/node/change"
	"github.com/xdp-chain/xdp-chain/internal/node/inspect"
	"github.com/xdp-chain/xdp-chain/internal/node/resolve"
	"github.com/xdp-chain/xdp-chain/internal/node/state"
	"github.com/xdp-chain/xdp-chain/internal/record"
	"github.com/xdp-chain/xdp-chain/internal/testenv"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
)

// byHandInChild is the body of an operator's command, which [Load.inChild] hands over.
func byHandInChild(do func(context.Context, *Node, Load) error) func() error {
	return func() error {
		return forAttachment(func(ctx context.Context, n *Node, _ resolve.Attachment) error {
			var l Load
			if err := json.Unmarshal([]byte(os.Getenv("LOAD")), &l); err != nil {
				return err
			}
			return do(ctx, n, l)
		})
	}
}

// idOf finds a member by its name.
func idOf(n *Node, name string) (record.ID, error) {
	list, err := inspect.List(n.Node)
	for _, c := range list {
		if i := slices.IndexFunc(c.Members, func(m inspect.Member) bool { return m.Name == name }); i >= 0 {
			return c.Members[i].ID, err
		}
	}
	return 0, errors.Join(fmt.Errorf("no member %q", name), err)
}

// inChild is a command for a child's environment.
func (l Load) inChild(t *testing.T) []string {
	t.Helper()
	text, err := json.Marshal(l)
	if err != nil {
		t.Fatal(err)
	}
	return []string{"LOAD=" + string(text), "ATTACHMENT={}"}
}

// handStates are the functions of the chain before and after each command of oneAfterAnother.
var handStates = []string{"", "count", "count pass", "count drop", "count", ""}

// oneAfterAnother is every command once, from a first load to a last unload. Before each it
// makes a folder, which says how far it came.
func oneAfterAnother(ctx context.Context, n *Node, l Load) error {
	load := func(entry string, priority int) error {
		l.Entry, l.Program.Priority = entry, &priority
		_, err := n.Load(ctx, l)
		return err
	}
	with := func(name string, do func(record.ID) error) error {
		id, err := idOf(n, name)
		if err != nil {
			return err
		}
		return do(id)
	}
	unload := func(id record.ID) error { return n.Unload(ctx, false, id) }
	for i, command := range []func() error{
		func() error { return load("count", 10) },
		func() error { return load("pass", 20) },
		func() error {
			return with("pass", func(id record.ID) error {
				_, err := n.Replace(ctx, id, resolve.Replacement{Entry: "drop"})
				return err
			})
		},
		func() error { return with("pass", unload) },
		func() error { return with("count", unload) },
	} {
		if err := os.Mkdir(filepath.Join(os.Getenv("BEGUN"), strconv.Itoa(i)), 0o700); err != nil {
			return err
		}
		if err := command(); err != nil {
			return err
		}
	}
	return nil
}

// Whatever a killed command leaves is the chain that was or the one that was to be, the next
// command starts from it, and with the last unload nothing is left.
func TestKilledByHand(t *testing.T) {
	n := Default()
	for _, way := range handWays() {
		if way == ways[1] {
			continue // a change is killed by netlink in other tests
		}
		t.Run(way.String(), func(t *testing.T) {
			p := way.pod(t)
			l := p.byHand("", 0)
			l.Mode = chain.ModeGeneric // quicker to be had
			begun := t.TempDir()
			kills := 0
			crashtest.AtSome(t, 100, "hand", append(l.inChild(t), "BEGUN="+begun), func(t *testing.T) {
				if err := errors.Join(os.RemoveAll(begun), os.Mkdir(begun, 0o700)); err != nil {
					t.Fatal(err)
				}
				testenv.NoLeaks(t)
			}, func(t *testing.T) {
				started, err := os.ReadDir(begun)
				if err != nil {
					t.Fatal(err)
				}
				last := max(len(started)-1, 0)
				if kills++; kills%2 == 0 {
					p.afterAKilledCommand(t, n, handStates[last:last+2])
				}
				if _, err := n.UnloadAll(t.Context(), l.Place, false); err != nil && !errors.Is(err, state.ErrNoMember) {
					t.Error(err)
				}
				if a := p.attached(t, config.PodSide); a.ProgramID != 0 {
					t.Errorf("the interface carries %s", a)
				}
			})
		})
	}
}

// afterAKilledCommand makes sure that the chain is what it was or what it was to be, by a
// command more, which leaves what it finds and adds one.
func (p *pod) afterAKilledCommand(t *testing.T, n *Node, states []string) {
	t.Helper()
	runs := p.attached(t, config.PodSide).ProgramID != 0
	if !runs && !slices.Contains(states, "") {
		t.Error("the interface carries no chain")
	}
	l := p.byHand("acl", 99)
	l.Mode = chain.ModeGeneric
	if _, err := n.Load(t.Context(), l); err != nil {
		t.Fatal(err)
	}
	var functions []string
	for _, m := range p.running(t, n) {
		functions = append(functions, m.Function)
	}
	got := strings.Join(functions[:len(functions)-1], " ")
	if !slices.Contains(states, got) {
		t.Errorf("the chain is %q, and was to be one of %q", got, states)
	}
	p.checkByHand(t, n)
}

// checkByHand compares the chain of an operator with what the kernel runs.
func (p *pod) checkByHand(t *testing.T, n *Node) {
	t.Helper()
	iface := p.open(t, config.PodSide)
	defer iface.NetNS.Close()
	held, err := change.LockInterface(t.Context(), n.Node, iface)
	if err != nil {
		t.Fatal(err)
	}
	defer held.Unlock()
	if differences, err := held.Differences(); err != nil || len(differences) > 0 {
		t.Errorf("%q, %v", differences, err)
	}
}

// loadAndUnload is what each of several processes does on one interface.
func loadAndUnload(ctx context.Context, n *Node, l Load) error {
	for range 3 {
		goes, err := n.Load(ctx, l)
		if err != nil {
			return err
		}
		if _, err := n.Load(ctx, l); err != nil {
			return err
		}
		if err := n.Unload(ctx, false, goes.ID); err != nil {
			return err
		}
	}
	return nil
}

func TestSeveralProcessesOnOneInterface(t *testing.T) {
	machineOnly(t)
	const processes, stay = 4, 3
	testenv.NoLeaks(t)
	n, p := Default(), newPod(t, 0)
	errs := make(chan error, processes)
	for i := range processes {
		l := p.byHand("count", 100-i)
		l.Program.Maps = map[string]config.MapSettings{"traffic": {Scope: config.ScopeNode}} // which they share
		l.Metadata = map[string]string{"process": strconv.Itoa(i)}
		command := crashtest.Command("many", l.inChild(t)...)
		go func() { errs <- command.Run() }()
	}
	for range processes {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	ids, of := make(map[record.ID]bool), make(map[string]int)
	for _, m := range p.running(t, n) {
		if ids[m.ID] {
			t.Errorf("two members have id %d", m.ID)
		}
		ids[m.ID] = true
		of[m.Metadata["process"]]++
	}
	for i := range processes {
		if got := of[strconv.Itoa(i)]; got != stay {
			t.Errorf("of process %d %d members are in the chain, want %d", i, got, stay)
		}
	}
	if c := p.listed(t, n); c.Generation != processes*9 {
		t.Errorf("generation %d, want %d", c.Generation, processes*9)
	}
	p.unloadAll(t, n)
}
