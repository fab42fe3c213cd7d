// SPDX-License-Identifier: Apache-2.0

package state_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/xdp-chain/xdp-chain/internal/config"
	"github.com/xdp-chain/xdp-chain/internal/node"
	"github.com/xdp-chain/xdp-chain/internal/node/doctor"
	"github.com/xdp-chain/xdp-chain/internal/node/inspect"
	"github.com/xdp-chain/xdp-chain/internal/node/nodetest"
	"github.com/xdp-chain/xdp-chain/internal/node/state"
	"github.com/xdp-chain/xdp-chain/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// Whether a chain runs is said alike by all that show or judge it.
func TestLiveness(t *testing.T) {
	n := node.Default()
	linked, netlinked, libxdp := nodetest.Ways[0], nodetest.Ways[1], nodetest.Ways[2]
	for _, tt := range []struct {
		name   string
		way    nodetest.Way
		change func(t *testing.T, p *nodetest.Pod)
		want   state.Liveness
		why    string // a part of the reason
	}{
		{"running by link", linked, func(*testing.T, *nodetest.Pod) {}, state.Running, ""},
		{"running by netlink", netlinked, func(*testing.T, *nodetest.Pod) {}, state.Running, ""},
		{"running in libxdp's dispatcher", libxdp, func(*testing.T, *nodetest.Pod) {}, state.Running, ""},
		{"link detached", linked, func(t *testing.T, p *nodetest.Pod) { p.DetachLink(t, n) }, state.Detached, "carries no XDP program"},
		{"link unpinned", linked, func(t *testing.T, p *nodetest.Pod) {
			p.Unpin(t, n, "link")
			p.AwaitNothing(t)
		}, state.Detached, "carries no XDP program"},
		{"taken off", netlinked, func(t *testing.T, p *nodetest.Pod) { p.TakeOff(t) }, state.Detached, "carries no XDP program"},
		{"replaced", netlinked, func(t *testing.T, p *nodetest.Pod) {
			p.TakeOff(t)
			p.Occupy(t, config.PodSide)
		}, state.Detached, "was replaced: the interface carries XDP program"},
		{"dispatcher taken off", libxdp, func(t *testing.T, p *nodetest.Pod) { p.TakeOff(t) }, state.Detached, "libxdp's dispatcher"},
		{"interface gone", linked, func(t *testing.T, p *nodetest.Pod) { p.DeleteVeth(t) }, state.Gone, "its interface eth0 is gone"},
		{"interface gone, by netlink", netlinked, func(t *testing.T, p *nodetest.Pod) { p.DeleteVeth(t) }, state.Gone, "its interface eth0 is gone"},
		{"namespace gone", linked, func(t *testing.T, p *nodetest.Pod) {
			key := p.Key(t, config.PodSide)
			testenv.RemoveNetNS(t, p.NetNS)
			nodetest.AwaitGone(t, n, key)
		}, state.Gone, "its network namespace is gone"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			testenv.NoLeaks(t)
			p := tt.way.Pod(t)
			p.Apply(t, n, nodetest.Programs("pass")...)
			tt.change(t, p)
			list, err := inspect.List(n.Node)
			if err != nil || len(list) != 1 || list[0].State != tt.want || !strings.Contains(list[0].Reason, tt.why) {
				t.Errorf("list: %+v, %v; want it %s, since %q", list, err, tt.want, tt.why)
			}
			stats, err := inspect.Stats(n.Node)
			if err != nil || len(stats) != 1 || stats[0].State != tt.want || !strings.Contains(stats[0].Reason, tt.why) {
				t.Errorf("stats: %+v, %v; want it %s, since %q", stats, err, tt.want, tt.why)
			}
			hooks, err := inspect.Hooks(n.Node, inspect.HookQuery{Interface: "eth0"})
			i := slices.IndexFunc(hooks, func(h inspect.Hook) bool { return h.Owner == inspect.ChainOwner })
			if err != nil || i < 0 || *hooks[i].State != tt.want || !strings.Contains(hooks[i].Reason, tt.why) {
				t.Errorf("hooks: %+v, %v; want it %s, since %q", hooks, err, tt.want, tt.why)
			}
			found := doctor.ExamineState(n.Node)
			if failing := found[0].State == doctor.StateFailing; failing != (tt.want == state.Detached) {
				t.Errorf("doctor: %+v", found[0])
			}
			if stale := found[1].State == doctor.StateWarning; stale != (tt.want == state.Gone) {
				t.Errorf("doctor: %+v", found[1])
			}
			nodetest.Sweep(t, n)
			if list, _ := inspect.List(n.Node); len(list) == 0 != (tt.want == state.Gone) {
				t.Errorf("swept to %+v", list)
			}
			p.Remove(t, n)
		})
	}
}
