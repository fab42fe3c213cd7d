// SPDX-License-Identifier: Apache-2.0

package node

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/xdp-chain/xdp-chain/internal/config"
	"github.com/xdp-chain/xdp-chain/internal/node/doctor"
	"github.com/xdp-chain/xdp-chain/internal/node/inspect"
	"github.com/xdp-chain/xdp-chain/internal/node/state"
	"github.com/xdp-chain/xdp-chain/internal/testenv"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
)

// Whether a chain runs is said alike by all that show or judge it.
func TestLiveness(t *testing.T) {
	n := Default()
	linked, libxdp := way{chain.DispatcherLinked, chain.AttachLink}, way{chain.DispatcherLibxdp, chain.AttachNetlink}
	netlinked := way{chain.DispatcherLinked, chain.AttachNetlink}
	for _, tt := range []struct {
		name   string
		way    way
		change func(t *testing.T, p *pod)
		want   state.Liveness
		why    string // a part of the reason
	}{
		{"running by link", linked, func(*testing.T, *pod) {}, state.Running, ""},
		{"running by netlink", netlinked, func(*testing.T, *pod) {}, state.Running, ""},
		{"running in libxdp's dispatcher", libxdp, func(*testing.T, *pod) {}, state.Running, ""},
		{"link detached", linked, func(t *testing.T, p *pod) { p.detachLink(t, n) }, state.Detached, "carries no XDP program"},
		{"link unpinned", linked, func(t *testing.T, p *pod) {
			if err := os.Remove(filepath.Join(p.folder(t, n), "link")); err != nil {
				t.Fatal(err)
			}
			p.awaitNothing(t)
		}, state.Detached, "carries no XDP program"},
		{"taken off", netlinked, func(t *testing.T, p *pod) { p.takeOff(t) }, state.Detached, "carries no XDP program"},
		{"replaced", netlinked, func(t *testing.T, p *pod) {
			p.takeOff(t)
			p.occupy(t, config.PodSide)
		}, state.Detached, "was replaced: the interface carries XDP program"},
		{"dispatcher taken off", libxdp, func(t *testing.T, p *pod) { p.takeOff(t) }, state.Detached, "libxdp's dispatcher"},
		{"interface gone", linked, func(t *testing.T, p *pod) { p.deleteVeth(t) }, state.Gone, "its interface eth0 is gone"},
		{"interface gone, by netlink", netlinked, func(t *testing.T, p *pod) { p.deleteVeth(t) }, state.Gone, "its interface eth0 is gone"},
		{"namespace gone", linked, func(t *testing.T, p *pod) {
			key := p.chain(t, n, config.PodSide).Key
			testenv.RemoveNetNS(t, p.NetNS)
			p.awaitGone(t, n, key)
		}, state.Gone, "its network namespace is gone"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			testenv.NoLeaks(t)
			p := tt.way.pod(t)
			p.apply(t, n, programs("pass")...)
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
			if err := n.Sweep(t.Context(), 16); err != nil {
				t.Error(err)
			}
			if list, _ := inspect.List(n.Node); len(list) == 0 != (tt.want == state.Gone) {
				t.Errorf("swept to %+v", list)
			}
			p.remove(t, n)
		})
	}
}
