// SPDX-License-Identifier: Apache-2.0

// Package script is what integration/vm, on the machine, and integration/vm/guest,
// process 1 of the virtual machine, have to tell each other.
//
// The machine puts a [Script] into the image at [Path]. The guest answers on its
// serial ports: the kernel's console is the first, what the steps print the second,
// and the third gets one [Result] as JSON at the end. A guest that ends without it
// has crashed.
package script

// Path is where the script lies in the image.
const Path = "/script.json"

// Init is where the guest program lies in the image: what the kernel starts as
// process 1 (rdinit=, its documentation's kernel-parameters.txt).
const Init = "/init"

// Serial ports of the guest, in the order in which QEMU is given them.
const (
	Console = "/dev/ttyS0"
	Output  = "/dev/ttyS1"
	Status  = "/dev/ttyS2"
)

// Script is the work of one guest.
type Script struct {
	Modules []string // paths in the image, each after those that it needs
	Env     []string // KEY=value, of every step
	Steps   []Step
	Tell    bool // print how each step ended, below what it printed itself
}

// Step is one command.
type Step struct {
	Name string // in what is printed
	Dir  string // absolute
	Argv []string
}

// Result is how the script ended.
type Result struct {
	Failed []string // names of the steps that failed, in their order
	Status int      // of the first that failed, as a shell gives it; 0 if none did
	Fault  string   // what kept the guest from running the steps at all
}
