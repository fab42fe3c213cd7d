// SPDX-License-Identifier: Apache-2.0

package xdptest

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/features"
	"github.com/cilium/ebpf/rlimit"
	"golang.org/x/sys/unix"

	"github.com/xdp-chain/xdp-chain/bpf"
)

// MinFrame is the length of the shortest frame a program can be run on, in bytes
// (ETH_HLEN, see bpf_prog_test_run_xdp in net/bpf/test_run.c).
const MinFrame = 14

// linux5_18 is KERNEL_VERSION(5, 18, 0), the first with BPF_F_XDP_HAS_FRAGS.
const linux5_18 = 5<<16 | 18<<8

// The return values of a program (enum xdp_action in linux/bpf.h).
const (
	Aborted = 0
	Drop    = 1
	Pass    = 2
)

// Spec returns the object of a built-in program, not yet loaded.
func Spec(t testing.TB, name string) *ebpf.CollectionSpec {
	t.Helper()
	content, err := bpf.Objects.ReadFile(fmt.Sprintf("%s/%[1]s.o", name))
	if err != nil {
		t.Fatal(err)
	}
	spec, err := ebpf.LoadCollectionSpecFromReader(bytes.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	return spec
}

// Load loads an object into the kernel until the test ends, without the flag for
// frames of several buffers where the kernel does not know it.
func Load(t testing.TB, spec *ebpf.CollectionSpec) *ebpf.Collection {
	t.Helper()
	if err := rlimit.RemoveMemlock(); err != nil {
		t.Fatal(err)
	}
	version, err := features.LinuxVersionCode()
	if err != nil {
		t.Fatal(err)
	}
	if version < linux5_18 {
		for _, p := range spec.Programs {
			p.Flags &^= unix.BPF_F_XDP_HAS_FRAGS
		}
	}
	coll, err := ebpf.NewCollection(spec)
	if err != nil {
		t.Fatalf("loading: %+v", err)
	}
	t.Cleanup(coll.Close)
	return coll
}

// Run returns the program's verdict on one frame.
func Run(t testing.TB, p *ebpf.Program, frame []byte) uint32 {
	t.Helper()
	verdict, err := p.Run(&ebpf.RunOptions{Data: frame})
	if err != nil {
		t.Fatalf("running on %d bytes: %v", len(frame), err)
	}
	return verdict
}

// Benchmark runs the program b.N times on one frame and reports the kernel's
// figure for one run, as ns/packet.
func Benchmark(b *testing.B, p *ebpf.Program, frame []byte) {
	b.Helper()
	_, duration, err := p.Benchmark(frame, b.N, b.ResetTimer)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(duration.Nanoseconds()), "ns/packet")
}

// BenchmarkLoad is what an object costs each start of a pod that has it in its chain:
// loading it, maps and programs, and letting it go.
func BenchmarkLoad(b *testing.B, spec *ebpf.CollectionSpec) {
	b.Helper()
	for b.Loop() {
		coll, err := ebpf.NewCollection(spec)
		if err != nil {
			b.Fatal(err)
		}
		coll.Close()
	}
}
