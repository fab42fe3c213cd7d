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
	if err := mountAll(); err != nil {
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

// openSerial opens a serial port that passes bytes on as they are. Without that the
// terminal's line discipline would turn each newline into two bytes.
func openSerial(path string) (*os.File, error) {
	port, err := os.OpenFile(path, os.O_WRONLY|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, err
	}
	fd := int(port.Fd())
	mode, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		return nil, fmt.Errorf("asking for the mode of %s: %w", path, err)
	}
	mode.Oflag &^= unix.OPOST
	if err := unix.IoctlSetTermios(fd, unix.TCSETS, mode); err != nil {
		return nil, fmt.Errorf("setting the mode of %s: %w", path, err)
	}
	return port, nil
}
