// SPDX-License-Identifier: Apache-2.0

package pin_test

import (
	"context"
	"fmt"
	"log"

	"github.com/cilium/ebpf"

	"github.com/xdp-chain/xdp-chain/pkg/chain"
	"github.com/xdp-chain/xdp-chain/pkg/pin"
)

// What a chain has is pinned as one generation, under its lock. Another process finds it by
// the chain's key.
func Example() {
	tree := pin.Tree{Root: pin.DefaultRoot}
	check(tree.Ensure())
	key := chain.Key{Cookie: 4097, Ifindex: 2} // netdev's Interface.Key returns an interface's
	counters, err := ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.PerCPUArray, KeySize: 4, ValueSize: 64, MaxEntries: 3})
	check(err)
	defer counters.Close()
	seen, err := ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.Hash, KeySize: 4, ValueSize: 8, MaxEntries: 16})
	check(err)
	defer seen.Close()

	locked, err := tree.Lock(context.Background(), key)
	check(err)
	// Counters and Maps of a dispatcher.Built; the swap on the interface comes in between.
	check(locked.Stage(1, counters, map[string]map[string]*ebpf.Map{"mine": {"seen": seen}}, nil))
	check(locked.FinalizePins(1))
	check(locked.Unlock())

	found, err := tree.OpenMap(key, 1, "mine", "seen")
	check(err)
	fmt.Println("a map of", found.MaxEntries(), "entries")
	check(found.Close())

	locked, err = tree.Lock(context.Background(), key)
	check(err)
	check(locked.Clear())
	check(locked.Unlock())
	keys, err := tree.Keys()
	fmt.Println("chains left:", keys, err)
	// Output:
	// a map of 16 entries
	// chains left: [] <nil>
}

func check(err error) {
	if err != nil {
		log.Panic(err)
	}
}
