// SPDX-License-Identifier: Apache-2.0

package node_test

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
	"github.com/xdp-chain/xdp-chain/internal/node"
	"github.com/xdp-chain/xdp-chain/internal/node/change"
	"github.com/xdp-chain/xdp-chain/internal/node/inspect"
	"github.com/xdp-chain/xdp-chain/internal/node/nodetest"
	"github.com/xdp-chain/xdp-chain/internal/node/resolve"
	"github.com/xdp-chain/xdp-chain/internal/node/state"
	"github.com/xdp-chain/xdp-chain/internal/record"
	"github.com/xdp-chain/xdp-chain/internal/testenv"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
)

// manualInChild is the body of an operator's command, which inChild hands over.
func manualInChild(do func(context.Context, *node.Node, node.Load) error) func() error {
	return nodetest.InChild(func(ctx context.Context, n *node.Node) error {
		var l node.Load
		if err := json.Unmarshal([]byte(os.Getenv("LOAD")), &l); err != nil {
			return err
		}
		return do(ctx, n, l)
	})
}

// idOf finds a member by its name.
func idOf(n *node.Node, name string) (record.ID, error) {
	list, err := inspect.List(n.Node)
	for _, c := range list {
		if i := slices.IndexFunc(c.Members, func(m inspect.Member) bool { return m.Name == name }); i >= 0 {
			return c.Members[i].ID, err
		}
	}
	return 0, errors.Join(fmt.Errorf("no member %q", name), err)
}

// inChild is a command for a child's environment.
func inChild(t *testing.T, l node.Load) []string {
	t.Helper()
	text, err := json.Marshal(l)
	if err != nil {
		t.Fatal(err)
	}
	return []string{"LOAD=" + string(text)}
}

// manualStates are the functions of the chain before and after each command of oneAfterAnother.
var manualStates = []string{"", "count", "count pass", "count drop", "count", ""}

// oneAfterAnother is every command once, from a first load to a last unload. Before each it
// makes a folder, which says how far it came.
func oneAfterAnother(ctx context.Context, n *node.Node, l node.Load) error {
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
func TestKilledManualCommands(t *testing.T) {
	n := node.Default()
	for _, way := range nodetest.ManualWays() {
		if way == nodetest.Ways[1] {
			continue // a change is killed by netlink in other tests
		}
		t.Run(way.String(), func(t *testing.T) {
			p := way.Pod(t)
			l := p.Manual("", 0)
			l.Mode = chain.ModeGeneric // quicker to be had
			begun := t.TempDir()
			kills := 0
			crashtest.AtSome(t, 100, "manual", append(inChild(t, l), "BEGUN="+begun), func(t *testing.T) {
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
					afterAKilledCommand(t, p, n, manualStates[last:last+2])
				}
				if _, err := n.UnloadAll(t.Context(), l.Place, false); err != nil && !errors.Is(err, state.ErrNoMember) {
					t.Error(err)
				}
				p.WantNothing(t, config.PodSide)
			})
		})
	}
}

// afterAKilledCommand makes sure that the chain is what it was or what it was to be, by a
// command more, which leaves what it finds and adds one.
func afterAKilledCommand(t *testing.T, p *nodetest.Pod, n *node.Node, states []string) {
	t.Helper()
	runs := p.Attached(t, config.PodSide).ProgramID != 0
	if !runs && !slices.Contains(states, "") {
		t.Error("the interface carries no chain")
	}
	l := p.Manual("acl", 99)
	l.Mode = chain.ModeGeneric
	nodetest.Load(t, n, l)
	var functions []string
	for _, m := range p.Members(t, n) {
		functions = append(functions, m.Function)
	}
	got := strings.Join(functions[:len(functions)-1], " ")
	if !slices.Contains(states, got) {
		t.Errorf("the chain is %q, and was to be one of %q", got, states)
	}
	checkManual(t, p, n)
}

// checkManual compares the chain of an operator with what the kernel runs.
func checkManual(t *testing.T, p *nodetest.Pod, n *node.Node) {
	t.Helper()
	iface := p.Open(t, config.PodSide)
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
func loadAndUnload(ctx context.Context, n *node.Node, l node.Load) error {
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
	nodetest.MachineOnly(t)
	const processes, stay = 4, 3
	testenv.NoLeaks(t)
	n, p := node.Default(), nodetest.NewPod(t, 0)
	errs := make(chan error, processes)
	for i := range processes {
		l := p.Manual("count", 100-i)
		l.Program.Maps = map[string]config.MapSettings{"traffic": {Scope: config.ScopeNode}} // which they share
		l.Metadata = map[string]string{"process": strconv.Itoa(i)}
		command := crashtest.Command("many", inChild(t, l)...)
		go func() { errs <- command.Run() }()
	}
	for range processes {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	ids, of := make(map[record.ID]bool), make(map[string]int)
	for _, m := range p.Members(t, n) {
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
	if c := p.Chain(t, n, config.PodSide); c.Generation != processes*9 {
		t.Errorf("generation %d, want %d", c.Generation, processes*9)
	}
	p.UnloadAll(t, n)
}
