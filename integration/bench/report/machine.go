// SPDX-License-Identifier: Apache-2.0

package report

import (
	"os"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// Machine is where a report comes from: figures of different machines, or of a
// busy and a quiet one, do not compare.
type Machine struct {
	Kernel string `json:"kernel"`
	CPU    string `json:"cpu"`
	CPUs   int    `json:"cpus"`
	// Returns is what the kernel does about speculation at returns. Some of it makes
	// each return of a function a mispredicted branch, and a chain has one a member.
	Returns string `json:"returns"`
	// Load is the number of processes that wanted to run, over the last minute.
	Load string `json:"load"`
}

// ThisMachine describes the machine as it is now. What cannot be read is left empty.
func ThisMachine() Machine {
	m := Machine{CPU: "unknown", CPUs: runtime.NumCPU()}
	var name unix.Utsname
	if err := unix.Uname(&name); err == nil {
		m.Kernel = unix.ByteSliceToString(name.Release[:])
	}
	if content, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(content)) {
			if key, value, _ := strings.Cut(line, ":"); strings.TrimSpace(key) == "model name" {
				m.CPU = strings.TrimSpace(value)
				break
			}
		}
	}
	m.Returns = mitigations()
	if content, err := os.ReadFile("/proc/loadavg"); err == nil {
		m.Load, _, _ = strings.Cut(string(content), " ")
	}
	return m
}

// mitigations are those of spec_rstack_overflow and retbleed, as far as this
// processor has them (Documentation/admin-guide/hw-vuln/srso.rst).
func mitigations() string {
	var list []string
	for _, name := range []string{"spec_rstack_overflow", "retbleed"} {
		content, err := os.ReadFile("/sys/devices/system/cpu/vulnerabilities/" + name)
		state := strings.TrimSpace(string(content))
		if err == nil && state != "Not affected" {
			list = append(list, name+": "+state)
		}
	}
	if len(list) == 0 {
		return "not slowed"
	}
	return strings.Join(list, "; ")
}
