// SPDX-License-Identifier: Apache-2.0

package load

import (
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
)

// Every one is done, whatever becomes of the others, and the first in order is blamed.
func TestEach(t *testing.T) {
	three, seven := errors.New("three"), errors.New("seven")
	for n, want := range map[int]error{0: nil, 1: nil, 4: three, 100: three} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			done := make([]atomic.Int32, n)
			err := Each(n, func(i int) error {
				done[i].Add(1)
				return map[int]error{3: three, 7: seven}[i]
			})
			if !errors.Is(err, want) {
				t.Errorf("got %v, want %v", err, want)
			}
			for i := range done {
				if times := done[i].Load(); times != 1 {
					t.Errorf("%d was done %d times", i, times)
				}
			}
		})
	}
}

// What the version says and what the kernel does must agree.
func TestKernelHasFrags(t *testing.T) {
	if err := probeFrags(); (err == nil) != kernelHasFrags() {
		t.Errorf("by its version the kernel has frags: %t; loading a program that takes them: %v", kernelHasFrags(), err)
	}
}
