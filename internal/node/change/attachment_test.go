// SPDX-License-Identifier: Apache-2.0

package change_test

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/xdp-chain/xdp-chain/internal/config"
	"github.com/xdp-chain/xdp-chain/internal/node"
	"github.com/xdp-chain/xdp-chain/internal/node/nodetest"
	"github.com/xdp-chain/xdp-chain/internal/record"
	"github.com/xdp-chain/xdp-chain/internal/testenv"
	"github.com/xdp-chain/xdp-chain/pkg/netdev"
)

// A chain whose record is broken belongs to those whose attachments list it. Who
// comes new to it is refused, lest their members be lost; they themselves may leave.
func TestAChainWhoseRecordIsBrokenIsNotTakenOver(t *testing.T) {
	n, p := node.Default(), nodetest.NewPod(t, 0)
	p.Apply(t, n, nodetest.Programs("drop")...)
	before := p.Attached(t, config.PodSide)
	key := p.Key(t, config.PodSide)
	nodetest.BreakRecord(t, n, key)
	guest := *p
	guest.Network, guest.Programs = "guests", nodetest.Programs("pass")
	if err := n.Apply(t.Context(), guest.Attachment); !errors.Is(err, netdev.ErrBusy) || !strings.Contains(err.Error(), "record of chain "+key.String()) {
		t.Errorf("a new owner: %v", err)
	}
	if after := p.Attached(t, config.PodSide); after != before {
		t.Errorf("the interface carries %s, before %s", after, before)
	}
	p.Apply(t, n, nodetest.Programs("drop")...)
	p.Check(t, n)
	p.Remove(t, n)
	p.WantNothing(t, config.PodSide)
}

// What a later version wrote is for that one to change.
func TestARecordOfALaterVersionIsLeftAlone(t *testing.T) {
	testenv.NoLeaks(t)
	n, p := node.Default(), nodetest.NewPod(t, 0)
	p.Apply(t, n, nodetest.At(10, "drop"), nodetest.OnHost(nodetest.At(10, "drop")))
	before, beforeOnHost := p.Attached(t, config.PodSide), p.Attached(t, config.HostSide)
	path := nodetest.Record(n, p.Key(t, config.PodSide))
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(`{"version": 2}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := n.Apply(t.Context(), p.Attachment); !errors.Is(err, record.ErrVersion) {
		t.Errorf("ADD: %v, want an ErrVersion", err)
	}
	if after := p.Attached(t, config.HostSide); after != beforeOnHost {
		t.Errorf("after a failed ADD side host carries %s, before %s", after, beforeOnHost)
	}
	if err := n.Remove(t.Context(), p.Network, p.ContainerID, p.Ifname); !errors.Is(err, record.ErrVersion) {
		t.Errorf("DEL: %v, want an ErrVersion", err)
	}
	if after := p.Attached(t, config.PodSide); after != before {
		t.Errorf("the interface carries %s, before %s", after, before)
	}
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	p.Remove(t, n)
}
