// SPDX-License-Identifier: Apache-2.0

package change_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/xdp-chain/xdp-chain/internal/config"
	"github.com/xdp-chain/xdp-chain/internal/node"
	"github.com/xdp-chain/xdp-chain/internal/node/nodetest"
	"github.com/xdp-chain/xdp-chain/internal/testenv"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
	"github.com/xdp-chain/xdp-chain/pkg/dispatcher"
	"github.com/xdp-chain/xdp-chain/pkg/dispatcher/libxdp"
	"github.com/xdp-chain/xdp-chain/pkg/netdev"
)

// Members that cannot be linked go into libxdp's dispatcher under auto where there can be
// one; elsewhere it is said why not.
func TestMembersThatCannotBeLinked(t *testing.T) {
	testenv.NoLeaks(t)
	n, p := node.Default(), nodetest.NewPod(t, 0)
	p.Programs = append(nodetest.Programs("count"), config.Program{Name: "plain", Object: nodetest.Objects(t, "plain.o")})
	for _, tt := range []struct {
		dispatcher chain.Dispatcher
		attach     chain.Attach
		words      string
	}{
		{chain.DispatcherLinked, chain.AttachAuto, "mixed licences"},
		{chain.DispatcherAuto, chain.AttachLink, "dispatcher libxdp takes such members, but it is attached by netlink, and attach is link"},
	} {
		p.Dispatcher, p.Attach = tt.dispatcher, tt.attach
		for verb, err := range map[string]error{"ADD": n.Apply(t.Context(), p.Attachment), "STATUS": n.Status(t.Context(), p.Attachment)} {
			if !errors.Is(err, dispatcher.ErrMixedLicenses) || !strings.Contains(err.Error(), tt.words) {
				t.Errorf("%s with dispatcher %s, attach %s: %v", verb, tt.dispatcher, tt.attach, err)
			}
		}
	}
	p.Dispatcher, p.Attach = chain.DispatcherAuto, chain.AttachAuto
	probed := libxdp.Probe()
	for verb, err := range map[string]error{"ADD": n.Apply(t.Context(), p.Attachment), "STATUS": n.Status(t.Context(), p.Attachment)} {
		if probed == nil && err != nil || probed != nil && (!errors.Is(err, dispatcher.ErrMixedLicenses) || !strings.Contains(err.Error(), "dispatcher libxdp takes such members, but ")) {
			t.Errorf("%s: %v; the probe says %v", verb, err, probed)
		}
	}
	if probed == nil {
		if c := p.Chain(t, n, config.PodSide); c.Dispatcher != chain.DispatcherLibxdp || !strings.Contains(c.DispatcherReason, "mixed licences") {
			t.Errorf("got %+v", c)
		}
		p.Check(t, n)
		p.Send(t, n, 2)
		p.Apply(t, n, p.Programs...)
	}
	p.Remove(t, n)
}

// A chain goes over to another hook or mode only by coming off in between, so it is
// left as it is.
func TestHookOfARunningChainStays(t *testing.T) {
	testenv.NoLeaks(t)
	n, p := node.Default(), nodetest.NewPod(t, 0)
	p.Attach, p.Mode = chain.AttachLink, chain.ModeNative
	p.Apply(t, n, nodetest.Programs("pass")...)
	before := p.Attached(t, config.PodSide)
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
		if after := p.Attached(t, config.PodSide); after != before {
			t.Errorf("by %s in mode %s: the interface carries %s, before %s", tt.attach, tt.mode, after, before)
		}
		p.Check(t, n)
	}
	p.Attach, p.Mode = chain.AttachAuto, chain.ModeAuto
	p.Apply(t, n, nodetest.Programs("drop")...)
	if c := p.Chain(t, n, config.PodSide); c.Attach != chain.AttachLink || c.Mode != chain.ModeNative {
		t.Errorf("auto went from link and native to %s and %s", c.Attach, c.Mode)
	}
	p.Remove(t, n)
}
