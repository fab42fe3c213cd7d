// SPDX-License-Identifier: Apache-2.0

package testenv

import (
	"os"
	"testing"
)

// Skip skips the test for a reason that lies in the machine, as t.Skip does, and
// fails it when CI=true: there every test must have run.
func Skip(t testing.TB, reason string) {
	t.Helper()
	if inCI() {
		t.Fatalf("cannot run here, and CI=true allows no skips: %s", reason)
	}
	t.Skip(reason)
}

// KernelIndependent skips the test where tests are to be short, as in the lab, whose kernels are
// several and slow: it is about what is the same on all of them, such as files.
func KernelIndependent(t testing.TB) {
	t.Helper()
	if testing.Short() {
		t.Skip("it is the same on every kernel, and tests are to be short")
	}
}

func inCI() bool { return os.Getenv("CI") == "true" }
