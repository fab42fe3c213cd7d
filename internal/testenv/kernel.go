// SPDX-License-Identifier: Apache-2.0

package testenv

import (
	"errors"
	"testing"

	"github.com/cilium/ebpf"
)

// NeedKernel takes what a probe of the kernel said about a feature (package features
// of cilium/ebpf has many): nil lets the test go on; an error that is
// [ebpf.ErrNotSupported] skips it, in the lab without failing CI, since the other
// kernels have the feature. Any other error means that the probe itself failed, and
// fails the test.
func NeedKernel(t testing.TB, feature error) {
	t.Helper()
	switch {
	case feature == nil:
	case !errors.Is(feature, ebpf.ErrNotSupported):
		t.Fatalf("asking the kernel for a feature: %v", feature)
	case InLab():
		t.Skipf("this kernel of the lab lacks what the test is about: %v", feature)
	default:
		Skip(t, "this kernel lacks what the test is about: "+feature.Error())
	}
}
