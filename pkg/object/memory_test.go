// SPDX-License-Identifier: Apache-2.0

package object

import (
	"strings"
	"testing"

	"github.com/cilium/ebpf"
)

func TestCheckMemory(t *testing.T) {
	cpus := uint32(ebpf.MustPossibleCPU())
	tests := []struct {
		name string
		spec ebpf.MapSpec
		want string // empty: allowed
	}{
		{"largest", ebpf.MapSpec{Type: ebpf.Hash, KeySize: 4, ValueSize: 8, MaxEntries: 1 << 26}, ""},
		{"one more", ebpf.MapSpec{Type: ebpf.Hash, KeySize: 4, ValueSize: 8, MaxEntries: 1<<26 + 1}, "at most 67108864 fit"},
		{"per CPU", ebpf.MapSpec{Type: ebpf.PerCPUArray, KeySize: 4, ValueSize: 1 << 20, MaxEntries: 1024/cpus + 1}, "are more than the 1073741824 bytes"},
		{"ring buffer", ebpf.MapSpec{Type: ebpf.RingBuf, MaxEntries: 1 << 30}, ""},
		{"large ring buffer", ebpf.MapSpec{Type: ebpf.RingBuf, MaxEntries: 1 << 31}, "are more than"},
		{"key", ebpf.MapSpec{Type: ebpf.Hash, KeySize: 513, ValueSize: 4, MaxEntries: 1}, "keys of 513 bytes; at most 512"},
		{"value", ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: 1<<32 - 1, MaxEntries: 1}, "values of 4294967295 bytes; at most 16777216"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			err := checkMemory(&test.spec)
			if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
				t.Errorf("error %v; want %q", err, test.want)
			}
		})
	}
}
