// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/xdp-chain/xdp-chain/internal/config"
	"github.com/xdp-chain/xdp-chain/internal/node/state"
	"github.com/xdp-chain/xdp-chain/internal/testenv"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
	"github.com/xdp-chain/xdp-chain/pkg/netdev"
	"github.com/xdp-chain/xdp-chain/pkg/pin"
)

func inMilliseconds(t *testing.T, n int) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Duration(n)*time.Millisecond)
	t.Cleanup(cancel)
	return ctx
}

// Whoever does not get a lock in time is told who has it, and has changed nothing.
func TestLockNotGotInTime(t *testing.T) {
	testenv.NoLeaks(t)
	n, p := Default(), newPod(t, 0)
	p.apply(t, n, programs("pass")...)
	key := p.chain(t, n, config.PodSide).Key
	chainLock := func() (func() error, error) {
		l, err := n.BPFFS.Lock(t.Context(), key)
		return l.Unlock, err
	}
	changed := p.Attachment
	changed.Programs = programs("drop")
	sharing := p.Attachment
	sharing.Programs = append(sharing.Programs, filter(t, "filter", listOf("5")))
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
			p.check(t, n)
			if c := p.chain(t, n, config.PodSide); c.Generation != 1 {
				t.Errorf("the chain is of generation %d, want 1", c.Generation)
			}
		})
	}
	p.remove(t, n)
}

func TestSweepWaitsForNobody(t *testing.T) {
	testenv.NoLeaks(t)
	n, p := Default(), newPod(t, 0)
	p.apply(t, n, programs("pass")...)
	key := p.chain(t, n, config.PodSide).Key
	p.deleteVeth(t)
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
	if err := n.Sweep(t.Context(), 16); err != nil {
		t.Error(err)
	}
	if keys, err := n.Keys(); len(keys) != 0 || err != nil {
		t.Errorf("%v, %v; want no chain", keys, err)
	}
}

// A chain goes over to another hook or mode only by coming off in between, so it is
// left as it is.
func TestHookOfARunningChainStays(t *testing.T) {
	testenv.NoLeaks(t)
	n, p := Default(), newPod(t, 0)
	p.Attach, p.Mode = chain.AttachLink, chain.ModeNative
	p.apply(t, n, programs("pass")...)
	before := p.attached(t, config.PodSide)
	for _, tt := range []struct {
		attach chain.Attach
		mode   chain.Mode
	}{
		{chain.AttachNetlink, chain.ModeNative},
		{chain.AttachLink, chain.ModeGeneric},
		{chain.AttachAuto, chain.ModeOffload},
	} {
		other := p.Attachment
		other.Attach, other.Mode = tt.attach, tt.mode
		err := n.Apply(t.Context(), other)
		if !errors.Is(err, netdev.ErrUnsupported) || !strings.Contains(err.Error(), "attached by link in mode native") {
			t.Errorf("by %s in mode %s: %v", tt.attach, tt.mode, err)
		}
		if after := p.attached(t, config.PodSide); after != before {
			t.Errorf("by %s in mode %s: the interface carries %s, before %s", tt.attach, tt.mode, after, before)
		}
		p.check(t, n)
	}
	p.Attach, p.Mode = chain.AttachAuto, chain.ModeAuto
	p.apply(t, n, programs("drop")...)
	if c := p.chain(t, n, config.PodSide); c.Attach != chain.AttachLink || c.Mode != chain.ModeNative {
		t.Errorf("auto went from link and native to %s and %s", c.Attach, c.Mode)
	}
	p.remove(t, n)
}

// damage overwrites every object in the store.
func damage(t *testing.T, n *Node) {
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
		n, stays := Default(), newPod(t, 0)
		leaves := *stays
		leaves.Network = "other"
		stays.apply(t, n, programs("count")...)
		leaves.apply(t, n, programs("drop")...)
		before := stays.attached(t, config.PodSide)
		damage(t, n)
		leaves.remove(t, n)
		leaves.remove(t, n)
		c := stays.chain(t, n, config.PodSide)
		if got := memberList(c); got != "count drop" && got != "drop count" || len(c.Owners) != 1 || !c.Owners[0].Same(stays.Owner) {
			t.Errorf("members %q of %v, want both, of the one who stays", got, c.Owners)
		}
		if after := stays.attached(t, config.PodSide); after != before {
			t.Errorf("the interface carries %s, before %s", after, before)
		}
		stays.send(t, n, 1)
		if repaired { // by an ADD, which brings the objects
			stays.apply(t, n, programs("count")...)
			stays.check(t, n)
			stays.counts(t, n, 1)
		}
		stays.remove(t, n)
	}
}

// A bpffs that is unmounted takes every chain along. That keeps no pod from leaving,
// nor from coming back.
func TestUnmountedBPFFS(t *testing.T) {
	testenv.ShardByKernel(t, 1)
	testenv.NoLeaks(t)
	n := Default()
	for _, w := range ways {
		for _, then := range []finish{withDEL, withADD, withGC} {
			t.Run(w.String()+" "+string(then), func(t *testing.T) {
				p := w.pod(t)
				p.apply(t, n, sharing()...)
				if err := unix.Unmount(n.BPFFS.Root, 0); err != nil {
					t.Fatal(err)
				}
				switch then {
				case withADD:
					if err := n.Check(t.Context(), p.Attachment); !errors.Is(err, state.ErrDiffers) {
						t.Errorf("check: %v", err)
					}
					p.apply(t, n, sharing()...)
					p.check(t, n)
				case withGC:
					if err := n.GC(t.Context(), p.Network, nil, true); err != nil {
						t.Error(err)
					}
				}
				p.remove(t, n)
				p.awaitNothing(t)
			})
		}
	}
}
