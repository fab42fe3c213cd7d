// SPDX-License-Identifier: Apache-2.0

package lessons

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/xdp-chain/xdp-chain/internal/plugintest"
	"github.com/xdp-chain/xdp-chain/internal/testenv"
)

// xdp.frags: a packet that no single buffer holds goes through a chain in native mode.
func TestFrags(t *testing.T) {
	testenv.NeedKernel(t, testenv.HaveFrags())
	eachDispatcher(t, func(t *testing.T, dispatcher string) {
		const mtu = 5000
		p := plugintest.WiredPod(t, mtu)
		last := member(t, "frags.o", "measure", fields{"name": "last", "priority": 90})
		chain(t, p, dispatcher, front(), member(t, "frags.o", "measure", nil), last)
		long := ethernet(there, here, typeExperiment, append(make([]byte, mtu-len(signed())), signed()...))
		short := asking(pass)
		wantThrough(t, p, [][]byte{long, short}, long, short)
		wantEntered(t, p, "pod", 2)
		for _, name := range []string{"measure", "last"} {
			// struct lengths of bpf/frags.c
			var perCPU []struct{ Frames, Bytes, OfSeveralBuffers uint64 }
			if err := mapOf(t, p, "pod", name, "lengths").Lookup(uint32(0), &perCPU); err != nil {
				t.Fatal(err)
			}
			var got [3]uint64
			for _, cpu := range perCPU {
				got[0], got[1], got[2] = got[0]+cpu.Frames, got[1]+cpu.Bytes, got[2]+cpu.OfSeveralBuffers
			}
			if diff := cmp.Diff([3]uint64{2, uint64(len(long) + len(short)), 1}, got); diff != "" {
				t.Errorf("frames, bytes, and frames of several buffers that %s saw (-want +got):\n%s", name, diff)
			}
		}
	})
}
