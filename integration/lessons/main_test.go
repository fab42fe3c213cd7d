// SPDX-License-Identifier: Apache-2.0

package lessons

import (
	"maps"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/google/go-cmp/cmp"

	"github.com/xdp-chain/xdp-chain/internal/plugintest"
	"github.com/xdp-chain/xdp-chain/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// fields are the fields of a plugin's entry, or of any JSON object.
type fields = plugintest.Fields

// eachDispatcher runs a test with both dispatchers, or with the one that the kernel can. In
// the lab, which is slow, there is libxdp's alone, which other machines may not have, and
// the last of its kernels alone.
func eachDispatcher(t *testing.T, test func(t *testing.T, dispatcher string)) {
	t.Helper()
	_, kernels := testenv.Shard(t)
	testenv.ShardByKernel(t, kernels-1)
	for _, dispatcher := range []string{"linked", "libxdp"} {
		if dispatcher == "linked" && testing.Short() {
			continue
		}
		t.Run(dispatcher, func(t *testing.T) {
			testenv.NoLeaks(t)
			if dispatcher == "libxdp" {
				testenv.NeedFreplace(t)
			}
			test(t, dispatcher)
		})
	}
}

// object returns the path of a compiled lesson, in a place and with a mode that the
// plugin accepts whatever the checkout's are.
func object(t *testing.T, name string) string {
	t.Helper()
	return plugintest.CopyOf(t, filepath.Join("bpf", name))
}

// member is a program of a lesson, called as its function. It stands between front and
// behind, at the default priority.
func member(t *testing.T, file, function string, more fields) fields {
	t.Helper()
	m := fields{"name": strings.ReplaceAll(function, "_", "-"), "object": object(t, file), "function": function}
	maps.Copy(m, more)
	return m
}

// front is the built-in that counts what enters a chain.
func front() fields { return fields{"name": "count", "priority": 10} }

// behind counts what reaches the end of a chain.
func behind(t *testing.T) fields {
	t.Helper()
	return fields{"name": "behind", "object": object(t, "counter.o"), "function": "count_actions", "priority": 90}
}

// chain gives a pod a chain of programs in native mode, until the test ends, and returns
// its configuration.
func chain(t *testing.T, p *plugintest.Pod, dispatcher string, programs ...fields) fields {
	t.Helper()
	conf := p.Chained(fields{"dispatcher": dispatcher, "mode": "native"}, programs...)
	p.Must(t, "ADD", conf)
	t.Cleanup(func() { p.Must(t, "DEL", conf) })
	p.Must(t, "CHECK", conf)
	return conf
}

// onHost puts programs on the host's end of a pod's veth pair: they see what it sends.
func onHost(programs ...fields) []fields {
	for _, p := range programs {
		p["side"] = "host"
	}
	return programs
}

// mapOf opens a map of a member by its pin.
func mapOf(t *testing.T, p *plugintest.Pod, side, member, name string) *ebpf.Map {
	t.Helper()
	return pinned(t, filepath.Join("/sys/fs/bpf/xdp-chain/chains", p.ChainOn(t, side).Key, "maps", member, name))
}

func pinned(t *testing.T, path string) *ebpf.Map {
	t.Helper()
	m, err := ebpf.LoadPinnedMap(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

// tally is struct tally of bpf/tally.h.
type tally struct{ Packets, Bytes uint64 }

// talliesIn returns the rows of a map of tallies that are not 0, by action.
func talliesIn(t *testing.T, m *ebpf.Map) map[uint32]tally {
	t.Helper()
	rows := make(map[uint32]tally)
	for action := range m.MaxEntries() {
		var perCPU []tally
		if err := m.Lookup(action, &perCPU); err != nil {
			t.Fatal(err)
		}
		var sum tally
		for _, row := range perCPU {
			sum.Packets += row.Packets
			sum.Bytes += row.Bytes
		}
		if sum != (tally{}) {
			rows[action] = sum
		}
	}
	return rows
}

// wantTallies waits for the last frames to be counted.
func wantTallies(t *testing.T, m *ebpf.Map, want map[uint32]tally) {
	t.Helper()
	var diff string
	for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		if diff = cmp.Diff(want, talliesIn(t, m)); diff == "" {
			return
		}
	}
	t.Errorf("counts of %s (-want +got):\n%s", m, diff)
}

// tallied is what frames that pass add up to.
func tallied(action uint32, frames ...[]byte) map[uint32]tally {
	if len(frames) == 0 {
		return map[uint32]tally{}
	}
	var sum tally
	for _, frame := range frames {
		sum.Packets++
		sum.Bytes += uint64(len(frame))
	}
	return map[uint32]tally{action: sum}
}

// wantEntered waits until the built-in count in front has seen so many frames of the
// EtherType for experiments.
func wantEntered(t *testing.T, p *plugintest.Pod, side string, want uint64) {
	t.Helper()
	m := mapOf(t, p, side, "count", "traffic")
	// struct traffic_class and struct traffic of bpf/count/count.c
	key := struct{ EtherType, Protocol uint32 }{typeExperiment, 0}
	var got uint64
	for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		got = 0
		var perCPU []tally
		if m.Lookup(key, &perCPU) == nil {
			for _, row := range perCPU {
				got += row.Packets
			}
		}
		if got == want {
			return
		}
	}
	t.Errorf("%d frames entered the chain, want %d", got, want)
}

// wantDecided compares what xdpctl says that a member decided. Dispatcher libxdp cannot
// tell.
func wantDecided(t *testing.T, p *plugintest.Pod, dispatcher, side, member, verdict string, want uint64) {
	t.Helper()
	if dispatcher == "libxdp" {
		return
	}
	if got := p.StatsOn(t, side).Packets(member, verdict); got != want {
		t.Errorf("stats say that %s decided %s %d times, want %d", member, verdict, got, want)
	}
}
