// SPDX-License-Identifier: Apache-2.0

package state_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/xdp-chain/xdp-chain/internal/node"
	"github.com/xdp-chain/xdp-chain/internal/node/nodetest"
	"github.com/xdp-chain/xdp-chain/internal/record"
	"github.com/xdp-chain/xdp-chain/internal/testenv"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
	"github.com/xdp-chain/xdp-chain/pkg/dispatcher/libxdp"
)

// Where the kernel cannot run libxdp's dispatcher, ADD and STATUS say the same, and the
// same again when it is remembered; where it can, both work.
func TestFreplaceIsRemembered(t *testing.T) {
	testenv.NoLeaks(t)
	n, p := node.Default(), nodetest.NewPod(t, 0)
	p.Dispatcher = chain.DispatcherLibxdp
	p.Programs = nodetest.Programs("pass")
	probed := libxdp.Probe()
	for range 2 {
		for verb, err := range map[string]error{"ADD": n.Apply(t.Context(), p.Attachment), "STATUS": n.Status(t.Context(), p.Attachment)} {
			if (err == nil) != (probed == nil) || probed != nil && (!errors.Is(err, libxdp.ErrNoFreplace) || !strings.Contains(err.Error(), probed.Error())) {
				t.Errorf("%s: %v, the probe says %v", verb, err, probed)
			}
		}
	}
	p.Remove(t, n)
	known, err := n.Records.LoadKernel()
	if err != nil || (known.NoFreplace == "") != (probed == nil) {
		t.Errorf("remembered is %+v, %v; the probe says %v", known, err, probed)
	}
}

// What is remembered is believed, until reboot.
func TestFreplaceRememberedIsBelieved(t *testing.T) {
	n, p := node.Default(), nodetest.NewPod(t, 0)
	n.Records = record.Dir{Root: t.TempDir()}
	if err := n.Records.SaveKernel(record.Kernel{NoFreplace: "no such luck"}); err != nil {
		t.Fatal(err)
	}
	p.Dispatcher = chain.DispatcherLibxdp
	p.Programs = nodetest.Programs("pass")
	if err := n.Apply(t.Context(), p.Attachment); !errors.Is(err, libxdp.ErrNoFreplace) || !strings.Contains(err.Error(), ": no such luck (found earlier; ") {
		t.Errorf("got %v", err)
	}
}
