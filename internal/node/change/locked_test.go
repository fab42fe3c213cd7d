// SPDX-License-Identifier: Apache-2.0

package change_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/xdp-chain/xdp-chain/internal/config"
	"github.com/xdp-chain/xdp-chain/internal/crashtest"
	"github.com/xdp-chain/xdp-chain/internal/node"
	"github.com/xdp-chain/xdp-chain/internal/node/nodetest"
	"github.com/xdp-chain/xdp-chain/internal/node/state"
	"github.com/xdp-chain/xdp-chain/internal/testenv"
	"github.com/xdp-chain/xdp-chain/pkg/pin"
)

func TestMain(m *testing.M) {
	crashtest.Child(nodetest.Bodies())
	testenv.Main(m)
}

func inMilliseconds(t *testing.T, n int) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Duration(n)*time.Millisecond)
	t.Cleanup(cancel)
	return ctx
}

// Whoever does not get a lock in time is told who has it, and has changed nothing.
func TestLockNotGotInTime(t *testing.T) {
	testenv.NoLeaks(t)
	n, p := node.Default(), nodetest.NewPod(t, 0)
	p.Apply(t, n, nodetest.Programs("pass")...)
	key := p.Key(t, config.PodSide)
	chainLock := func() (func() error, error) {
		l, err := n.BPFFS.Lock(t.Context(), key)
		return l.Unlock, err
	}
	changed := p.Attachment
	changed.Programs = nodetest.Programs("drop")
	sharing := p.Attachment
	sharing.Programs = append(sharing.Programs, config.Program{
		Name: "filter", Object: nodetest.Objects(t, "maps.o"), Maps: map[string]config.MapSettings{"list": {
			Scope:   config.ScopeNode,
			Entries: []config.MapEntry{{Key: json.RawMessage("2"), Value: json.RawMessage("5")}},
		}},
	})
	for _, tt := range []struct {
		name string
		lock func() (unlock func() error, err error)
		what string
		do   func(ctx context.Context) error
	}{
		{"ADD", chainLock, key.String(), func(ctx context.Context) error { return n.Apply(ctx, changed) }},
		{"CHECK", chainLock, key.String(), func(ctx context.Context) error { return n.Check(ctx, p.Attachment) }},
		{"DEL", chainLock, key.String(), func(ctx context.Context) error { return n.Remove(ctx, p.Network, p.ContainerID, p.Ifname) }},
		{"ADD with a map of the network", func() (func() error, error) {
			l, err := n.BPFFS.LockNode(t.Context(), p.Network)
			return l.Unlock, err
		}, `network "podnet"`, func(ctx context.Context) error { return n.Apply(ctx, sharing) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			unlock, err := tt.lock()
			if err != nil {
				t.Fatal(err)
			}
			err = tt.do(inMilliseconds(t, 50))
			if err := unlock(); err != nil {
				t.Fatal(err)
			}
			var locked *pin.LockedError
			if !errors.As(err, &locked) || locked.HolderPID != os.Getpid() || !strings.Contains(err.Error(), tt.what) {
				t.Errorf("got %v, want %s to be locked by process %d", err, tt.what, os.Getpid())
			}
			p.Check(t, n)
			if c := p.Chain(t, n, config.PodSide); c.Generation != 1 {
				t.Errorf("the chain is of generation %d, want 1", c.Generation)
			}
		})
	}
	p.Remove(t, n)
}

func TestSweepWaitsForNobody(t *testing.T) {
	testenv.NoLeaks(t)
	n, p := node.Default(), nodetest.NewPod(t, 0)
	p.Apply(t, n, nodetest.Programs("pass")...)
	key := p.Key(t, config.PodSide)
	p.DeleteVeth(t)
	l, err := n.BPFFS.Lock(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Sweep(inMilliseconds(t, 5000), 16); err != nil {
		t.Error(err)
	}
	if keys, err := n.Keys(); len(keys) != 1 || err != nil {
		t.Errorf("%v, %v; want the chain that was locked", keys, err)
	}
	if err := l.Unlock(); err != nil {
		t.Fatal(err)
	}
	nodetest.Sweep(t, n)
	if keys, err := n.Keys(); len(keys) != 0 || err != nil {
		t.Errorf("%v, %v; want no chain", keys, err)
	}
}

// A bpffs that is unmounted takes every chain along. That keeps no pod from leaving,
// nor from coming back.
func TestUnmountedBPFFS(t *testing.T) {
	testenv.ShardByKernel(t, 1)
	testenv.NoLeaks(t)
	n := node.Default()
	for _, w := range nodetest.Ways {
		for _, then := range []nodetest.Finish{nodetest.ThenDEL, nodetest.ThenADD, nodetest.ThenGC} {
			t.Run(w.String()+" "+string(then), func(t *testing.T) {
				p := w.Pod(t)
				p.Apply(t, n, nodetest.Sharing()...)
				if err := unix.Unmount(n.BPFFS.Root, 0); err != nil {
					t.Fatal(err)
				}
				switch then {
				case nodetest.ThenADD:
					if err := n.Check(t.Context(), p.Attachment); !errors.Is(err, state.ErrDiffers) {
						t.Errorf("check: %v", err)
					}
					p.Apply(t, n, nodetest.Sharing()...)
					p.Check(t, n)
				case nodetest.ThenGC:
					if err := n.GC(t.Context(), p.Network, nil, true); err != nil {
						t.Error(err)
					}
				}
				p.Remove(t, n)
				p.AwaitNothing(t)
			})
		}
	}
}

// damage overwrites every object in the store.
func damage(t *testing.T, n *node.Node) {
	t.Helper()
	blobs, err := filepath.Glob(filepath.Join(n.Store.Dir, "blobs/sha256/*"))
	if err != nil || len(blobs) == 0 {
		t.Fatalf("%v, %v", blobs, err)
	}
	for _, blob := range blobs {
		if err := os.WriteFile(blob, []byte("damaged"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// An owner leaves although the others' members cannot be built again: the chain goes
// on whole, and its members go with those who stay.
func TestLeavesAChainThatCannotBeBuiltAgain(t *testing.T) {
	for _, repaired := range []bool{false, true} {
		testenv.NoLeaks(t)
		n, stays := node.Default(), nodetest.NewPod(t, 0)
		leaves := *stays
		leaves.Network = "other"
		stays.Apply(t, n, nodetest.Programs("count")...)
		leaves.Apply(t, n, nodetest.Programs("drop")...)
		before := stays.Attached(t, config.PodSide)
		damage(t, n)
		leaves.Remove(t, n)
		leaves.Remove(t, n)
		c := stays.Chain(t, n, config.PodSide)
		if got := nodetest.Names(c.Members); got != "count drop" && got != "drop count" || len(c.Owners) != 1 || !c.Owners[0].Same(stays.Owner) {
			t.Errorf("members %q of %v, want both, of the one who stays", got, c.Owners)
		}
		if after := stays.Attached(t, config.PodSide); after != before {
			t.Errorf("the interface carries %s, before %s", after, before)
		}
		stays.Send(t, n, 1)
		if repaired { // by an ADD, which brings the objects
			stays.Apply(t, n, nodetest.Programs("count")...)
			stays.Check(t, n)
			stays.WantEntered(t, n, 1)
		}
		stays.Remove(t, n)
	}
}
