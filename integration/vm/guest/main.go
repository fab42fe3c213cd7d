// SPDX-License-Identifier: Apache-2.0

// Guest is process 1 of the virtual machines of integration/vm: it mounts what a
// node has mounted, loads the modules, runs the steps of the script in the image one
// after another, tells how they ended and powers the machine off. It is no use
// elsewhere, and refuses to run.
package main

import (
	"encoding/json"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/xdp-chain/xdp-chain/integration/vm/script"
)

func main() {
	if os.Getpid() != 1 {
		fmt.Fprintln(os.Stderr, "guest is process 1 of a virtual machine; go run ./integration/vm -h tells how to start one")
		os.Exit(2)
	}
	result, err := work()
	if err != nil {
		result.Fault = err.Error()
	}
	if err := tell(result); err != nil {
		fmt.Println("telling the machine how the script ended:", err) // the console
	}
	// Otherwise process 1 ends, which is a kernel panic and ends the machine too.
	err = unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF)
	fmt.Println("powering off:", err)
}

// work does everything between boot and power-off.
func work() (script.Result, error) {
	var result script.Result
	if err := furnish(); err != nil {
		return result, err
	}
	text, err := os.ReadFile(script.Path)
	if err != nil {
		return result, err
	}
	var s script.Script
	if err := json.Unmarshal(text, &s); err != nil {
		return result, fmt.Errorf("reading %s: %w", script.Path, err)
	}
	if err := load(s.Modules); err != nil {
		return result, err
	}
	output, err := openSerial(script.Output)
	if err != nil {
		return result, err
	}
	return runAll(s, output)
}

func tell(result script.Result) error {
	port, err := openSerial(script.Status)
	if err != nil {
		return err
	}
	if err := json.NewEncoder(port).Encode(result); err != nil {
		return err
	}
	return port.Close() // returns when all of it is sent
}
