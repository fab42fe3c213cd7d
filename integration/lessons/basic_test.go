// SPDX-License-Identifier: Apache-2.0

package lessons

import (
	"os"
	"slices"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/google/go-cmp/cmp"

	"github.com/xdp-chain/xdp-chain/internal/plugintest"
	"github.com/xdp-chain/xdp-chain/internal/testenv"
)

// basic01-xdp-pass.
func TestPass(t *testing.T) {
	eachDispatcher(t, func(t *testing.T, dispatcher string) {
		p := plugintest.WiredPod(t, 0)
		chain(t, p, dispatcher, front(), member(t, "pass.o", "let_pass", nil), behind(t))
		frames := [][]byte{asking(pass), asking(pass), asking(pass)}
		wantThrough(t, p, frames, frames...)
		wantEntered(t, p, "pod", 3)
		wantTallies(t, mapOf(t, p, "pod", "behind", "tallies"), tallied(pass, frames...))
	})
}

// basic02-prog-by-name.
func TestProgramByName(t *testing.T) {
	tests := []struct {
		function string
		more     fields
		verdict  string
		arrives  bool
	}{
		{"let_pass", nil, "pass", true},
		{"drop_all", nil, "drop", false},
		{"drop_all", fields{"proceedOn": []string{"drop"}}, "", true},
		{"abort_all", nil, "aborted", false},
		{"abort_all", fields{"proceedOn": []string{"aborted", "pass"}}, "", true},
	}
	eachDispatcher(t, func(t *testing.T, dispatcher string) {
		p := plugintest.WiredPod(t, 0)
		several := member(t, "several.o", "", fields{"name": "unnamed"})
		p.Refuse(t, "ADD", p.Chained(nil, several), 103, "3 XDP programs; name one with function", "abort_all (xdp.frags), drop_all (xdp.frags), let_pass (xdp.frags)")
		for _, test := range tests {
			t.Run(test.function, func(t *testing.T) {
				m := member(t, "several.o", test.function, test.more)
				chain(t, p, dispatcher, front(), m, behind(t))
				tp, frame := listenInside(t, p), asking(pass)
				send(t, p, frame)
				wantEntered(t, p, "pod", 1)
				if test.arrives {
					tp.until(t, frame)
					wantTallies(t, mapOf(t, p, "pod", "behind", "tallies"), tallied(pass, frame))
					return
				}
				tp.nothing(t)
				wantTallies(t, mapOf(t, p, "pod", "behind", "tallies"), tallied(pass))
				wantDecided(t, p, dispatcher, "pod", m["name"].(string), test.verdict, 1)
			})
		}
	})
}

// basic03-map-counter: each action has its row, and a frame is counted where the program
// in front lets it by.
func TestMapCounter(t *testing.T) {
	eachDispatcher(t, func(t *testing.T, dispatcher string) {
		p := plugintest.WiredPod(t, 0)
		counter := member(t, "counter.o", "count_actions", fields{"proceedOn": []string{"drop", "pass"}})
		chain(t, p, dispatcher, front(), counter, behind(t))
		frames := [][]byte{asking(drop), asking(aborted), asking(drop), append(asking(pass), make([]byte, 1000)...), asking(pass)}
		tp := listenInside(t, p)
		send(t, p, frames...)
		tp.until(t, frames[4])
		counts := tallied(pass, frames[3:]...)
		counts[drop] = tallied(drop, frames[0], frames[2])[drop]
		wantTallies(t, mapOf(t, p, "pod", "behind", "tallies"), counts)
		counts[aborted] = tallied(aborted, frames[1])[aborted]
		wantTallies(t, mapOf(t, p, "pod", "count-actions", "tallies"), counts)
		wantDecided(t, p, dispatcher, "pod", "count-actions", "aborted", 1)
		wantDecided(t, p, dispatcher, "pod", "behind", "drop", 2)
	})
}

// basic04-pinning-maps: a map that is declared to be pinned by its name is one for all
// members of the network, whatever they are called, and outlives the member.
func TestPinByName(t *testing.T) {
	eachDispatcher(t, func(t *testing.T, dispatcher string) {
		stays, reloads := plugintest.WiredPod(t, 0), plugintest.WiredPod(t, 0)
		chain(t, stays, dispatcher, front(), member(t, "pinned.o", "count_shared", nil), behind(t))
		again := member(t, "pinned.o", "count_shared", fields{"name": "another"})
		conf := reloads.Chained(fields{"dispatcher": dispatcher}, front(), again)
		reloads.Must(t, "ADD", conf)
		frames := [][]byte{asking(pass), asking(pass), asking(pass), asking(pass)}
		wantThrough(t, stays, frames[:2], frames[:2]...)
		wantThrough(t, reloads, frames[2:3], frames[2])
		reloads.Must(t, "DEL", conf)
		reloads.Must(t, "ADD", conf)
		wantThrough(t, reloads, frames[3:], frames[3])
		for _, m := range []*ebpf.Map{
			pinned(t, "/sys/fs/bpf/xdp-chain/node/"+plugintest.Network+"/shared_tallies"),
			mapOf(t, stays, "pod", "count-shared", "shared_tallies"),
			mapOf(t, reloads, "pod", "another", "shared_tallies"),
		} {
			wantTallies(t, m, tallied(pass, frames...))
		}
		reloads.Must(t, "DEL", conf)
	})
}

// basic04-pinning-maps: a map that somebody else has pinned is used, and left to them.
func TestPinnedPath(t *testing.T) {
	const path = "/sys/fs/bpf/lesson_tallies"
	eachDispatcher(t, func(t *testing.T, dispatcher string) {
		theirs, err := ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.PerCPUArray, KeySize: 4, ValueSize: 16, MaxEntries: 5})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { theirs.Close() })
		if err := theirs.Pin(path); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.Remove(path) })
		p := plugintest.WiredPod(t, 0)
		counter := member(t, "counter.o", "count_actions", fields{"maps": fields{"tallies": fields{"pinned": path}}})
		conf := p.Chained(fields{"dispatcher": dispatcher}, front(), counter, behind(t))
		var sent [][]byte
		for range 2 {
			p.Must(t, "ADD", conf)
			frames := [][]byte{asking(pass), asking(pass)}
			wantThrough(t, p, frames, frames...)
			p.Must(t, "DEL", conf)
			sent = slices.Concat(sent, frames)
			wantTallies(t, pinned(t, path), tallied(pass, sent...))
		}
	})
}

// A place that is no program's in a chain is refused, by the program's name and with the
// reason.
func TestNoMembers(t *testing.T) {
	testenv.NoLeaks(t)
	p := plugintest.WiredPod(t, 0)
	for function, reason := range map[string]string{
		"leave_interface": "makes it run on frames that a devmap redirects",
		"arrive_on_cpu":   "makes it run on frames that a cpumap redirects",
	} {
		p.Refuse(t, "ADD", p.Chained(nil, front(), member(t, "stages.o", function, nil)), 103, function, reason)
	}
}

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
