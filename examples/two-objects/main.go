// SPDX-License-Identifier: Apache-2.0

// Two-objects puts the XDP programs of two objects on one interface, shows who decides, and
// takes the second one out again without a packet passing by the first.
package main

import (
	"context"
	"fmt"
	"log"
	"os"

	"github.com/cilium/ebpf"

	"github.com/xdp-chain/xdp-chain/pkg/chain"
	"github.com/xdp-chain/xdp-chain/pkg/dispatcher"
	"github.com/xdp-chain/xdp-chain/pkg/dispatcher/linked"
	"github.com/xdp-chain/xdp-chain/pkg/netdev"
)

func main() {
	if len(os.Args) != 4 {
		log.Fatal("usage: two-objects INTERFACE FIRST.o SECOND.o")
	}
	if err := run(os.Args[1], os.Args[2], os.Args[3]); err != nil {
		log.Fatal(err)
	}
}

func run(ifname, first, second string) error {
	var members []dispatcher.Member
	for i, path := range []string{first, second} {
		object, err := ebpf.LoadCollectionSpec(path)
		if err != nil {
			return err
		}
		place := chain.Member{Name: []string{"first", "second"}[i], Priority: 10 * i, ProceedOn: chain.DefaultProceedOn}
		members = append(members, dispatcher.Member{Member: place, Spec: object})
	}
	both, err := linked.New().Build(context.Background(), members, dispatcher.Options{Counters: true})
	if err != nil {
		return err
	}
	defer both.Close()

	here, err := netdev.CurrentNetNS()
	if err != nil {
		return err
	}
	defer here.Close()
	iface, err := here.InterfaceByName(ifname)
	if err != nil {
		return err
	}
	hook, taken, err := iface.AttachLink(netdev.AttachOptions{Program: both.Program, Frags: both.Frags})
	if err != nil {
		return err
	}
	defer hook.Close() // takes the chain down; hook.Pin would keep it when the process ends
	await(fmt.Sprintf("%s carries both, %s; Enter takes the second one out", ifname, taken.Mode), both)

	members[0].Maps = both.Maps["first"] // the first one stays: it goes on with its maps
	alone, err := linked.New().Build(context.Background(), members[:1], dispatcher.Options{Counters: true})
	if err != nil {
		return err
	}
	defer alone.Close()
	if err := iface.UpdateLink(hook, alone.Program, alone.Frags); err != nil {
		return err
	}
	await(ifname+" carries the first alone; Enter takes the chain down", alone)
	return nil
}

// await waits for Enter, and shows who has decided over how many packets until then.
func await(prompt string, chain *dispatcher.Built) {
	fmt.Println(prompt)
	_, _ = fmt.Scanln()
	counts, err := chain.ReadCounters()
	if err != nil {
		log.Print(err)
	}
	for _, c := range counts {
		fmt.Printf("\t%s: %d packets %s\n", c.Member, c.Packets, c.Verdict)
	}
}
