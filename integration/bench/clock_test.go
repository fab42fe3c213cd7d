// SPDX-License-Identifier: Apache-2.0

package main

import (
	"testing"

	"github.com/xdp-chain/xdp-chain/internal/testenv"
)

// A clock of another kind is not taken for one that counts instructions.
func TestClockOfAProcessor(t *testing.T) {
	if testenv.InLab() {
		t.Skip("the lab's emulated processor may take any time")
	}
	if err := checkClock(); err == nil {
		t.Error("1000 moves of a real processor take 1000 ns each time")
	}
}
