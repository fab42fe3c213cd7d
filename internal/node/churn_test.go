// SPDX-License-Identifier: Apache-2.0

package node

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/xdp-chain/xdp-chain/internal/config"
	"github.com/xdp-chain/xdp-chain/internal/testenv"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
)

// Loads and unloads in a row lose no packet, and neither files nor pins become more.
// integration/bench does a thousand, and looks at memory, too.
func TestManyLoadsAndUnloads(t *testing.T) {
	machineOnly(t)
	const rounds = 100
	for _, way := range ways[:2] { // libxdp's counts nothing
		t.Run(way.String(), func(t *testing.T) {
			p := way.pod(t)
			testenv.NoLeaks(t)
			n := Default()
			p.ContainerID = ""
			p.load(t, n, "drop", 90)
			churn := func() {
				m := p.load(t, n, "count", 10)
				if err := n.Unload(t.Context(), false, m.ID); err != nil {
					t.Fatal(err)
				}
			}
			churn()
			before := p.files(t, n)
			sent := p.sendUntil(t, func() {
				for range rounds {
					churn()
				}
			})
			p.counts(t, n, sent)
			want := []chain.Count{{Member: "drop", Verdict: chain.VerdictDrop, Packets: sent}}
			if diff := cmp.Diff(want, p.rows(t, n, config.PodSide)); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(before, p.files(t, n)); diff != "" {
				t.Errorf("files: %s", diff)
			}
			p.unloadAll(t, n)
		})
	}
}

// files are how many there are: those that the test has open, pins, and records.
func (p *pod) files(t *testing.T, n *Node) map[string]int {
	t.Helper()
	counts := make(map[string]int)
	for _, root := range []string{"/proc/self/fd", n.BPFFS.Root, n.Records.Root} {
		err := filepath.WalkDir(root, func(string, os.DirEntry, error) error {
			counts[root]++
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return counts
}
