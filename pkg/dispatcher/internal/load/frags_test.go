// SPDX-License-Identifier: Apache-2.0

package load

import "testing"

// What the version says and what the kernel does must agree.
func TestKernelHasFrags(t *testing.T) {
	if err := probeFrags(); (err == nil) != kernelHasFrags() {
		t.Errorf("by its version the kernel has frags: %t; loading a program that takes them: %v", kernelHasFrags(), err)
	}
}
