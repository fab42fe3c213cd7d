// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/xdp-chain/xdp-chain/internal/testenv"
)

// Each way does the work of all its members, and leaves nothing.
func TestVariants(t *testing.T) {
	if err := installObject(); err != nil {
		t.Fatal(err)
	}
	needFrags(t)
	for _, v := range variants {
		for _, n := range insnsMembers {
			if v.members != 0 && v.members != n {
				continue
			}
			t.Run(fmt.Sprintf("%s/%d", v.name, n), func(t *testing.T) {
				if v.freplace {
					testenv.NeedFreplace(t)
				}
				testenv.NoLeaks(t)
				if _, err := v.count(context.Background(), n); err != nil {
					t.Fatal(err)
				}
			})
		}
	}
}

// needFrags skips the test on kernels before 5.18, which do not know the flag with
// which the members of the object are loaded.
func needFrags(t *testing.T) {
	p, err := load(member)
	if errors.Is(err, unix.EINVAL) {
		err = fmt.Errorf("XDP programs for packets of several buffers: %w", ebpf.ErrNotSupported)
	}
	testenv.NeedKernel(t, err)
	p.Close()
}

// A member that saw no packet is noticed, and one that is missing too.
func TestCheckWork(t *testing.T) {
	needFrags(t)
	l, err := loadTogether(context.Background(), 5)
	if err != nil {
		t.Fatal(err)
	}
	defer l.close()
	if err := checkWork(l.members, 5); err == nil {
		t.Error("work that was not done is no error")
	}
	if _, err := instructions(l.program); err != nil {
		t.Fatal(err)
	}
	if err := checkWork(l.members, 5); err != nil {
		t.Errorf("work that was done: %v", err)
	}
	if err := checkWork(slices.Repeat(l.members, 2), 10); err == nil {
		t.Error("the work of five passes for that of ten")
	}
}

// A clock of another kind is not taken for one that counts instructions.
func TestClockOfAProcessor(t *testing.T) {
	if testenv.InLab() {
		t.Skip("the lab's emulated processor may take any time")
	}
	if err := checkClock(); err == nil {
		t.Error("1000 moves of a real processor take 1000 ns each time")
	}
}
