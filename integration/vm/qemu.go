// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/xdp-chain/xdp-chain/integration/vm/script"
)

// machine is a virtual machine that runs one script.
type machine struct {
	vmlinuz, initrd string
	dir             string // for the files of its serial ports
	cpus            int
	icount          bool // the guest's clock counts instructions
	limit           time.Duration
}

// memory is what a guest gets, in MiB: the root file system with the test binaries
// lies in it, twice while the kernel unpacks it.
const memory = 2048

// consoleTail is how many bytes of the console an error shows: the kernel is quiet
// until something is wrong.
const consoleTail = 20000

// run boots the machine, copies what its steps print to output, and returns what the
// guest tells at the end. An error means that it told nothing: it crashed, hung or was
// stopped.
func (m machine) run(ctx context.Context, output io.Writer) (script.Result, error) {
	var result script.Result
	ctx, cancel := context.WithTimeoutCause(ctx, m.limit, fmt.Errorf("not done after %s", m.limit))
	defer cancel()
	cmd := exec.CommandContext(ctx, "qemu-system-x86_64", m.args()...)
	var complaints bytes.Buffer
	cmd.Stdout, cmd.Stderr = output, &complaints
	// A terminal's ^C is for us alone, and whatever ends us ends it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	err := cmd.Run()
	if ctx.Err() != nil {
		return result, errors.Join(fmt.Errorf("the virtual machine was stopped: %w", context.Cause(ctx)), m.lastWords())
	}
	if err != nil {
		return result, fmt.Errorf("qemu-system-x86_64: %w: %s", err, bytes.TrimSpace(complaints.Bytes()))
	}
	status, err := os.ReadFile(m.port(script.Status))
	if err != nil {
		return result, err
	}
	if err := json.Unmarshal(status, &result); err != nil {
		return result, errors.Join(errors.New("the kernel stopped before the script ended"), m.lastWords())
	}
	if result.Fault != "" {
		return result, fmt.Errorf("the guest could not run the script: %s", result.Fault)
	}
	return result, nil
}

// without are features of the processor that the kernel can do without.
var without = []string{
	// CMPXCHG16B: after it QEMU 7.2 was seen to leave an address in the guest's flags
	// register, which panicked.
	"cx16=off",
	// What makes a guest slow, by some 15% together: copies by the byte (ERMS), page
	// tables of five levels, access to user space switched on and off around each copy,
	// and registers of vectors that each signal and switch saves.
	"erms=off", "la57=off", "smap=off", "smep=off", "umip=off", "pku=off", "mpx=off", "xsave=off",
}

// args are QEMU's. KVM is not used even where it is there: what runs in the lab
// shall run the same everywhere.
func (m machine) args() []string {
	kernelArgs := []string{
		"console=" + filepath.Base(script.Console), "rdinit=" + script.Init, "quiet",
		"panic=-1", "oops=panic", // with -no-reboot: QEMU ends
		"mitigations=off", "random.trust_cpu=on",
	}
	args := []string{
		// The processors take turns in one thread. With a thread each, QEMU 7.2 was seen
		// to run code that another processor had patched, as the kernel does for each
		// XDP program that is attached: it panicked at a breakpoint of its own.
		"-accel", "tcg,thread=single", "-smp", strconv.Itoa(m.cpus), "-m", strconv.Itoa(memory),
		"-cpu", "max," + strings.Join(without, ","),
		"-nodefaults", "-display", "none", "-no-reboot",
		"-serial", "file:" + m.port(script.Console),
		"-chardev", "stdio,id=output,signal=off", "-serial", "chardev:output",
		"-serial", "file:" + m.port(script.Status),
		"-kernel", m.vmlinuz, "-initrd", m.initrd, "-append", strings.Join(kernelArgs, " "),
	}
	if m.icount {
		// One instruction takes a nanosecond of the guest's time, and time in which the
		// guest sleeps is skipped: docs/devel/tcg-icount.rst of QEMU.
		args = append(args, "-icount", "shift=0,sleep=off")
	}
	return args
}

// port is the file with what came out of a serial port.
func (m machine) port(device string) string { return filepath.Join(m.dir, filepath.Base(device)) }

// lastWords is the end of the console, in which a kernel says why it stops.
func (m machine) lastWords() error {
	console, err := os.ReadFile(m.port(script.Console))
	if err != nil {
		return err
	}
	console = bytes.ReplaceAll(bytes.TrimSpace(console), []byte("\r"), nil)
	if len(console) == 0 {
		return errors.New("the kernel's console is empty")
	}
	return fmt.Errorf("the kernel's console ends with:\n%s", console[max(0, len(console)-consoleTail):])
}
