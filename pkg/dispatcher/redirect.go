// SPDX-License-Identifier: Apache-2.0

package dispatcher

import "github.com/cilium/ebpf"

// Redirects reports whether a map is one whose entries can have programs of their own,
// second stages: a devmap or a cpumap.
func Redirects(t ebpf.MapType) bool {
	return t == ebpf.DevMap || t == ebpf.DevMapHash || t == ebpf.CPUMap
}
