// SPDX-License-Identifier: Apache-2.0

package libxdp

import (
	"errors"
	"strings"
	"testing"

	"github.com/cilium/ebpf"

	"github.com/xdp-chain/xdp-chain/internal/testenv"
)

// The probe agrees with a way of asking that shares no code with it, and says what is
// missing.
func TestProbe(t *testing.T) {
	testenv.NoLeaks(t)
	err := Probe()
	if err == nil {
		return
	}
	if !errors.Is(err, ErrNoFreplace) || !errors.Is(err, ebpf.ErrNotSupported) {
		t.Errorf("an error of another kind: %v", err)
	}
	if !strings.Contains(err.Error(), "trampolines") && !strings.Contains(err.Error(), "JIT") {
		t.Errorf("it does not say what is missing: %v", err)
	}
	testenv.NeedFreplace(t)
	t.Errorf("the kernel replaces functions, but: %v", err)
}
