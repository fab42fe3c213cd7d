// SPDX-License-Identifier: Apache-2.0

package libxdp

import (
	"errors"
	"runtime"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/xdp-chain/xdp-chain/internal/testenv"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
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

// A process that may load XDP programs but no extension programs is told what it lacks.
func TestNoPerfmon(t *testing.T) {
	p, err := loadDispatcher(&Config{Version: DefaultVersion, Slots: []SlotConfig{{ProceedOn: chain.DefaultProceedOn}}})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	d, err := newTarget(p)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	go func() {
		// Never unlocked: the thread ends with the goroutine, and its capabilities
		// with it.
		runtime.LockOSThread()
		var sets [2]unix.CapUserData // version 3 has two halves
		sets[unix.CAP_NET_ADMIN/32].Effective |= 1 << (unix.CAP_NET_ADMIN % 32)
		sets[unix.CAP_BPF/32].Effective |= 1 << (unix.CAP_BPF % 32)
		for i := range sets {
			sets[i].Permitted = sets[i].Effective
		}
		if err := unix.Capset(&unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}, &sets[0]); err != nil {
			done <- err
			return
		}
		_, err := d.fill(probeMember(), "prog0", nil)
		done <- err
	}()
	err = <-done
	if !errors.Is(err, ErrNoFreplace) || !strings.Contains(err.Error(), "CAP_PERFMON") {
		t.Errorf("got %v", err)
	}
}
