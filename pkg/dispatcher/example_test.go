// SPDX-License-Identifier: Apache-2.0

package dispatcher_test

import (
	"context"
	"fmt"
	"log"
	"net"
	"time"

	"github.com/cilium/ebpf"

	"github.com/xdp-chain/xdp-chain/pkg/chain"
	"github.com/xdp-chain/xdp-chain/pkg/dispatcher"
	"github.com/xdp-chain/xdp-chain/pkg/dispatcher/linked"
	"github.com/xdp-chain/xdp-chain/pkg/netdev"
)

// Two objects on one interface: who decides is counted, one of them leaves in one swap, and
// the chain is taken down.
func Example() {
	count, err := ebpf.LoadCollectionSpec("../../bpf/count/count.o")
	check(err)
	drop, err := ebpf.LoadCollectionSpec("../../bpf/drop/drop.o")
	check(err)
	members := []dispatcher.Member{
		{Spec: drop, Member: chain.Member{Name: "drop", Priority: 20, ProceedOn: chain.DefaultProceedOn}},
		{Spec: count, Member: chain.Member{Name: "count", Priority: 10, ProceedOn: chain.DefaultProceedOn}},
	}
	both, err := linked.New().Build(context.Background(), members, dispatcher.Options{Counters: true})
	check(err)
	defer both.Close()

	here, err := netdev.CurrentNetNS()
	check(err)
	defer here.Close()
	lo, err := here.InterfaceByName("lo")
	check(err)
	hook, taken, err := lo.AttachLink(netdev.AttachOptions{Program: both.Program, Frags: both.Frags})
	check(err)
	fmt.Println(both.Members[0].Name, "then", both.Members[1].Name, "on lo,", taken.Mode)

	sendDatagrams(both, 3)
	counts, err := both.ReadCounters()
	check(err)
	fmt.Println(counts[0].Member, counts[0].Verdict, counts[0].Packets)

	stays := members[1]
	stays.Maps = both.Maps["count"] // it goes on with the maps that it has
	alone, err := linked.New().Build(context.Background(), []dispatcher.Member{stays}, dispatcher.Options{Counters: true})
	check(err)
	defer alone.Close()
	check(lo.UpdateLink(hook, alone.Program, alone.Frags)) // at no instant is there no chain
	sendDatagrams(alone, 2)
	counts, err = alone.ReadCounters()
	check(err)
	fmt.Println(counts[0].Member, counts[0].Verdict, counts[0].Packets)

	check(hook.Close()) // nothing has pinned it, so this takes the chain down
	// Output:
	// count then drop on lo, generic
	// drop drop 3
	// (end) pass 2
}

func check(err error) {
	if err != nil {
		log.Panic(err)
	}
}

// sendDatagrams has lo receive n datagrams, and returns when its chain has decided over them.
func sendDatagrams(chain *dispatcher.Built, n uint64) {
	listener, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	check(err)
	defer listener.Close()
	sender, err := net.DialUDP("udp4", nil, listener.LocalAddr().(*net.UDPAddr))
	check(err)
	defer sender.Close()
	for range n {
		_, err := sender.Write([]byte("a datagram"))
		check(err)
	}
	deadline := time.Now().Add(10 * time.Second)
	for decided := uint64(0); decided < n; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			log.Panicf("the chain has decided over %d of %d datagrams", decided, n)
		}
		counts, err := chain.ReadCounters()
		check(err)
		decided = 0
		for _, c := range counts {
			decided += c.Packets
		}
	}
}
