// SPDX-License-Identifier: Apache-2.0

// Command sandbox runs a command on a node of its own: private namespaces with an
// empty bpffs, /run/xdp-chain, /var/lib/xdp-chain and /run/netns, as package sandbox
// describes. It is for trying things, as hack/demo.sh does:
//
//	go run ./hack/sandbox bash
package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"

	"github.com/xdp-chain/xdp-chain/internal/sandbox"
)

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: sandbox COMMAND [ARGUMENT...]")
		os.Exit(2)
	}
	if err := sandbox.Enter(); err != nil {
		fmt.Fprintln(os.Stderr, "sandbox:", err)
		os.Exit(1)
	}
	cmd := exec.Command(os.Args[1], os.Args[2:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	err := cmd.Run()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		os.Exit(exit.ExitCode())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "sandbox:", err)
		os.Exit(1)
	}
}
