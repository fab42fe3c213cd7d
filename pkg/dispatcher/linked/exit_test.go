// SPDX-License-Identifier: Apache-2.0

package linked

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/xdp-chain/xdp-chain/pkg/chain"
	"github.com/xdp-chain/xdp-chain/pkg/dispatcher"
	"github.com/xdp-chain/xdp-chain/pkg/dispatcher/internal/chaintest"
)

// Only the verdict tx becomes another one for the kernel, and none for the counters.
func TestTXByRedirect(t *testing.T) {
	const tx, redirect = uint32(chain.TX), uint32(chain.Redirect)
	for _, counters := range []bool{false, true} {
		t.Run(fmt.Sprintf("counters %t", counters), func(t *testing.T) {
			built := build(
				t, dispatcher.Options{Counters: counters, TXByRedirect: true},
				chaintest.Told("a", 0, chain.DefaultProceedOn), chaintest.Told("b", 1, chain.ActionSetOf(chain.TX)), chaintest.Told("c", 2, 0),
			)
			for _, tt := range []struct {
				returns []uint32
				want    uint32
			}{
				{[]uint32{tx, 0, 0}, redirect},
				{[]uint32{uint32(chain.Drop), 0, 0}, uint32(chain.Drop)},
				{[]uint32{uint32(chain.Pass), uint32(chain.Aborted), 0}, uint32(chain.Aborted)},
				{[]uint32{uint32(chain.Pass), tx, uint32(chain.Pass)}, uint32(chain.Pass)},
				{[]uint32{uint32(chain.Pass), tx, tx}, redirect},
				{[]uint32{redirect, 0, 0}, redirect},
				{[]uint32{31, 7, 0}, 7},
				{[]uint32{0x103, 0, 0}, 0x103},
			} {
				if got := chaintest.Run(t, built.Program, chaintest.Packet(tt.returns)); got != tt.want {
					t.Errorf("members return %v: verdict %d, want %d", tt.returns, got, tt.want)
				}
			}
			if !counters {
				return
			}
			got, err := dispatcher.ReadCounters(built.Counters, []string{"a", "b", "c"})
			if err != nil {
				t.Fatal(err)
			}
			want := []chain.Count{
				{Member: "a", Verdict: chain.VerdictDrop, Packets: 1},
				{Member: "a", Verdict: chain.VerdictTX, Packets: 1},
				{Member: "a", Verdict: chain.VerdictRedirect, Packets: 1},
				{Member: "a", Verdict: chain.VerdictInvalid, Packets: 1},
				{Member: "b", Verdict: chain.VerdictAborted, Packets: 1},
				{Member: "b", Verdict: chain.VerdictInvalid, Packets: 1},
				{Member: "c", Verdict: chain.VerdictPass, Packets: 1},
				{Member: "c", Verdict: chain.VerdictTX, Packets: 1},
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("counts (-want +got):\n%s", diff)
			}
		})
	}
}
