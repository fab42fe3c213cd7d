// SPDX-License-Identifier: Apache-2.0

package cnitool

import (
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/xdp-chain/xdp-chain/internal/plugintest"
	"github.com/xdp-chain/xdp-chain/internal/testenv"
)

// Two hundred pods one after another, each namespace gone before its DEL, so that
// the kernel gives the next one the inode and the interface index of the last.
func TestTwoHundredPodsInARow(t *testing.T) {
	testenv.ShardByKernel(t, 0)
	testenv.NoLeaks(t)
	pods := orShort(200, 3)
	r := newLibcni(t, pluginList(t, "ptp", "1.1.0", families[0], ours(nil, fields{"name": "count"}, closing(60), fields{"name": "pass", "side": "host"})))
	inodes := make(map[uint64]bool)
	for i := range pods {
		p := plugintest.NewPod(t)
		inodes[inode(t, p.NetNS)] = true
		if err := r.add(p); err != nil {
			t.Fatalf("ADD of pod %d: %s", i, plugintest.Describe(err))
		}
		for side, on := range map[string]plugintest.XDP{"pod": p.XDP(t), "host": plugintest.HostXDP(t, p.HostEnd(t))} {
			if on.Program == 0 || on.Mode != nl.XDP_ATTACHED_DRV {
				t.Fatalf("pod %d has %+v on side %s, want a native chain", i, on, side)
			}
		}
		testenv.RemoveNetNS(t, p.NetNS)
		p.NetNS = ""
		if err := r.del(p); err != nil {
			t.Fatalf("DEL of pod %d: %s", i, plugintest.Describe(err))
		}
		if left := records(t); len(left) != 0 {
			t.Fatalf("left after pod %d: %v", i, left)
		}
	}
	if len(inodes) == pods {
		t.Log("no inode of a namespace came again, so this run has not tried that")
	}
}

func inode(t *testing.T, path string) uint64 {
	t.Helper()
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		t.Fatal(err)
	}
	return st.Ino
}

// Eight pods at once, made and removed by eight processes each.
func TestEightPodsAtOnce(t *testing.T) {
	testenv.ShardByKernel(t, 2)
	for _, first := range firstPlugins() {
		t.Run(first, func(t *testing.T) {
			testenv.NoLeaks(t)
			r := newLibcni(t, pluginList(t, first, "1.1.0", families[0], ours(nil, fields{"name": "count"}, closing(60), fields{"name": "pass", "side": "host"})))
			// The bridge takes its lasting MAC with its first pod. Where that is several at
			// once, some of them are told another, and the bridge plugin's own CHECK says so.
			pioneer := plugintest.NewPod(t)
			if err := errors.Join(r.add(pioneer), r.del(pioneer)); err != nil {
				t.Fatalf("the first pod: %s", plugintest.Describe(err))
			}
			pods := make([]*plugintest.Pod, 8)
			for i := range pods {
				pods[i] = plugintest.NewPod(t)
			}
			t.Cleanup(func() {
				if err := atOnce(pods, r.del); err != nil {
					t.Errorf("DEL at the end: %s", plugintest.Describe(err))
				}
			})
			if err := atOnce(pods, r.add); err != nil {
				t.Fatalf("ADD: %s", plugintest.Describe(err))
			}
			if err := atOnce(pods, r.check); err != nil {
				t.Errorf("CHECK: %s", plugintest.Describe(err))
			}
			if got := len(plugintest.Chains(t)); got != 2*len(pods) {
				t.Errorf("%d chains are listed, want %d", got, 2*len(pods))
			}
			if err := atOnce(pods, r.del); err != nil {
				t.Errorf("DEL: %s", plugintest.Describe(err))
			}
			if left := records(t); len(left) != 0 {
				t.Errorf("left: %v", left)
			}
		})
	}
}

// Eight ADDs of one pod at once, as an impatient runtime may send them, make one
// chain; eight DELs take it away.
func TestOnePodEightTimesAtOnce(t *testing.T) {
	testenv.ShardByKernel(t, 1)
	testenv.NoLeaks(t)
	p := plugintest.WiredPod(t, 0)
	conf := p.Chained(nil, fields{"name": "count"}, closing(60))
	same := make([]*plugintest.Pod, 8)
	for i := range same {
		same[i] = p
	}
	for round := range orShort(5, 1) {
		verb := func(verb string) func(*plugintest.Pod) error {
			return func(p *plugintest.Pod) error {
				if _, err := p.Call(t, verb, conf); err != nil {
					return err
				}
				return nil
			}
		}
		if err := atOnce(same, verb("ADD")); err != nil {
			t.Fatalf("round %d: ADD: %s", round, plugintest.Describe(err))
		}
		p.Must(t, "CHECK", conf)
		if got := len(plugintest.Chains(t)); got != 1 {
			t.Errorf("round %d: %d chains are listed, want 1", round, got)
		}
		if err := atOnce(same, verb("DEL")); err != nil {
			t.Fatalf("round %d: DEL: %s", round, plugintest.Describe(err))
		}
		if left := records(t); len(left) != 0 {
			t.Errorf("round %d left %v", round, left)
		}
	}
}

// atOnce calls f for each pod on a goroutine of its own and joins the errors.
func atOnce(pods []*plugintest.Pod, f func(*plugintest.Pod) error) error {
	errs := make([]error, len(pods))
	var wg sync.WaitGroup
	for i, p := range pods {
		wg.Go(func() { errs[i] = f(p) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

// records lists what is left of chains: pins and records, not the folders that all
// chains share, nor what is noted until reboot.
func records(t *testing.T) (left []string) {
	t.Helper()
	for _, path := range append(glob(t, chainsDir+"/*"), tree(t, "/run/xdp-chain")...) {
		if !strings.HasSuffix(path, "/") && path != "/run/xdp-chain/kernel.json" && !strings.HasPrefix(path, "/run/xdp-chain/last-id.") {
			left = append(left, path)
		}
	}
	return left
}
