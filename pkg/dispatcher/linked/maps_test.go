// SPDX-License-Identifier: Apache-2.0

package linked

import (
	"errors"
	"strings"
	"testing"

	"github.com/cilium/ebpf"

	"github.com/xdp-chain/xdp-chain/pkg/chain"
	"github.com/xdp-chain/xdp-chain/pkg/dispatcher"
	"github.com/xdp-chain/xdp-chain/pkg/dispatcher/internal/chaintest"
)

// 64 members with a map each fill a program; the counters are one too many, unless
// members share a map.
func TestMapLimit(t *testing.T) {
	members := chaintest.Counting(t, MaxMembers)
	built := build(t, dispatcher.Options{}, members...)
	if got := chaintest.Run(t, built.Program, chaintest.Frame()); got != uint32(chain.Pass) {
		t.Errorf("verdict %d", got)
	}

	err := buildError(t, dispatcher.Options{Counters: true}, members...)
	if !errors.Is(err, dispatcher.ErrTooManyMaps) || !errors.Is(err, dispatcher.ErrNotLinkable) {
		t.Errorf("65 maps: %v", err)
	}
	for _, word := range []string{"use 65", "count-17 1", "counters 1"} {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("the error does not say %q: %v", word, err)
		}
	}

	shared := built.Maps["count-0"]["packets"]
	for i := range 2 {
		members[i].Maps = map[string]*ebpf.Map{"packets": shared}
	}
	both := build(t, dispatcher.Options{Counters: true}, members...)
	chaintest.Run(t, both.Program, chaintest.Frame())
	var perCPU []uint64
	if err := shared.Lookup(uint32(0), &perCPU); err != nil {
		t.Fatal(err)
	}
	var sum uint64
	for _, n := range perCPU {
		sum += n
	}
	if sum != 1+2 {
		t.Errorf("the shared map counts %d", sum)
	}
}
