// SPDX-License-Identifier: Apache-2.0

package insns

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/xdp-chain/xdp-chain/integration/bench/workload"
	"github.com/xdp-chain/xdp-chain/internal/testenv"
)

// Each way does the work of all its members, and leaves nothing.
func TestVariants(t *testing.T) {
	if err := workload.InstallObjects(); err != nil {
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
				if _, err := v.count(context.Background(), n, 1); err != nil {
					t.Fatal(err)
				}
			})
		}
	}
}

// needFrags skips the test on kernels before 5.18, which do not know the flag with
// which the members of the object are loaded.
func needFrags(t *testing.T) {
	p, err := workload.Load(workload.MemberFunction)
	if errors.Is(err, unix.EINVAL) {
		err = fmt.Errorf("XDP programs for packets of several buffers: %w", ebpf.ErrNotSupported)
	}
	testenv.NeedKernel(t, err)
	p.Close()
}
