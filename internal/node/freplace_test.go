// SPDX-License-Identifier: Apache-2.0

package node

import (
	"errors"
	"strings"
	"testing"

	"github.com/xdp-chain/xdp-chain/internal/config"
	"github.com/xdp-chain/xdp-chain/internal/record"
	"github.com/xdp-chain/xdp-chain/internal/testenv"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
	"github.com/xdp-chain/xdp-chain/pkg/dispatcher"
	"github.com/xdp-chain/xdp-chain/pkg/dispatcher/libxdp"
)

// Where the kernel cannot run libxdp's dispatcher, ADD and STATUS say the same, and the
// same again when it is remembered; where it can, both work.
func TestFreplaceIsRemembered(t *testing.T) {
	testenv.NoLeaks(t)
	n, p := Default(), newPod(t, 0)
	p.Dispatcher = chain.DispatcherLibxdp
	p.Programs = programs("pass")
	probed := libxdp.Probe()
	for range 2 {
		for verb, err := range map[string]error{"ADD": n.Apply(t.Context(), p.Attachment), "STATUS": n.Status(t.Context(), p.Attachment)} {
			if (err == nil) != (probed == nil) || probed != nil && (!errors.Is(err, libxdp.ErrNoFreplace) || !strings.Contains(err.Error(), probed.Error())) {
				t.Errorf("%s: %v, the probe says %v", verb, err, probed)
			}
		}
	}
	p.remove(t, n)
	known, err := n.Records.LoadKernel()
	if err != nil || (known.NoFreplace == "") != (probed == nil) {
		t.Errorf("remembered is %+v, %v; the probe says %v", known, err, probed)
	}
}

// What is remembered is believed, until reboot.
func TestFreplaceRememberedIsBelieved(t *testing.T) {
	n, p := Default(), newPod(t, 0)
	n.Records = record.Dir{Root: t.TempDir()}
	if err := n.Records.SaveKernel(record.Kernel{NoFreplace: "no such luck"}); err != nil {
		t.Fatal(err)
	}
	p.Dispatcher = chain.DispatcherLibxdp
	p.Programs = programs("pass")
	if err := n.Apply(t.Context(), p.Attachment); !errors.Is(err, libxdp.ErrNoFreplace) || !strings.Contains(err.Error(), ": no such luck (found earlier; ") {
		t.Errorf("got %v", err)
	}
}

// Members that cannot be linked go into libxdp's dispatcher under auto where there can be
// one; elsewhere it is said why not.
func TestMembersThatCannotBeLinked(t *testing.T) {
	testenv.NoLeaks(t)
	n, p := Default(), newPod(t, 0)
	p.Programs = append(programs("count"), config.Program{Name: "plain", Object: absolute(t, "../../pkg/object/testdata/plain.o")})
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
		if c := p.chain(t, n, config.PodSide); c.Dispatcher != chain.DispatcherLibxdp || !strings.Contains(c.DispatcherReason, "mixed licences") {
			t.Errorf("got %+v", c)
		}
		p.check(t, n)
		p.send(t, n, 2)
		p.apply(t, n, p.Programs...)
	}
	p.remove(t, n)
}
