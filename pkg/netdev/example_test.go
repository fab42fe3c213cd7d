// SPDX-License-Identifier: Apache-2.0

package netdev_test

import (
	"errors"
	"fmt"
	"log"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"

	"github.com/xdp-chain/xdp-chain/pkg/netdev"
)

// An interface that carries a program already says whose it is.
func ExampleInterface_AttachLink() {
	pass, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Name: "pass", Type: ebpf.XDP, License: "Apache-2.0",
		Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, 2), asm.Return()},
	})
	if err != nil {
		log.Panic(err)
	}
	defer pass.Close()
	here, err := netdev.OpenNetNS(netdev.CurrentPath) // or /run/netns/NAME, /proc/PID/ns/net
	if err != nil {
		log.Panic(err)
	}
	defer here.Close()
	lo, err := here.InterfaceByName("lo")
	if err != nil {
		log.Panic(err)
	}

	hook, taken, err := lo.AttachLink(netdev.AttachOptions{Program: pass})
	if err != nil {
		log.Panic(err)
	}
	fmt.Println("lo runs it in mode", taken.Mode) // taken.Why says why not natively

	var busy *netdev.BusyError
	if _, _, err := lo.AttachLink(netdev.AttachOptions{Program: pass}); errors.As(err, &busy) {
		fmt.Println(busy.On, "carries", busy.Holder.Name, "by", busy.Holder.Attach)
	}
	if err := hook.Close(); err != nil { // hook.Pin would keep it
		log.Panic(err)
	}
	held, err := lo.Attached()
	fmt.Println("afterwards a program is there:", held.ProgramID != 0, err)
	// Output:
	// lo runs it in mode generic
	// lo carries pass by link
	// afterwards a program is there: false <nil>
}
