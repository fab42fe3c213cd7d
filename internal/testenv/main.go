// SPDX-License-Identifier: Apache-2.0

package testenv

import (
	"errors"
	"fmt"
	"os"
	"testing"

	"github.com/xdp-chain/xdp-chain/internal/sandbox"
)

// Main runs the tests of a package in private namespaces and ends the process. It
// is the whole of a TestMain:
//
//	func TestMain(m *testing.M) { testenv.Main(m) }
//
// Without root, or where namespaces are refused, it runs no test at all: it says
// why and ends with status 0, or 1 when CI=true.
func Main(m *testing.M) {
	if err := sandbox.Enter(); err != nil {
		fmt.Fprintf(os.Stderr, "testenv: no test of %s can run: %v\n", os.Args[0], err)
		if errors.Is(err, sandbox.ErrUnavailable) && !inCI() {
			os.Exit(0)
		}
		os.Exit(1)
	}
	endAtOnce()
	os.Exit(m.Run())
}

// endAtOnce is for the processes that tests start: under the race detector each sleeps
// for a second before it ends, unless told not to.
func endAtOnce() {
	os.Setenv("GORACE", "atexit_sleep_ms=0 "+os.Getenv("GORACE"))
}

// Skip skips the test for a reason that lies in the machine, as t.Skip does, and
// fails it when CI=true: there every test must have run.
func Skip(t testing.TB, reason string) {
	t.Helper()
	if inCI() {
		t.Fatalf("cannot run here, and CI=true allows no skips: %s", reason)
	}
	t.Skip(reason)
}

func inCI() bool { return os.Getenv("CI") == "true" }
