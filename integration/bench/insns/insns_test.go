// SPDX-License-Identifier: Apache-2.0

package insns

import (
	"context"
	"slices"
	"testing"

	"github.com/xdp-chain/xdp-chain/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// A clock of another kind is not taken for one that counts instructions.
func TestClockOfAProcessor(t *testing.T) {
	if testenv.InLab() {
		t.Skip("the lab's emulated processor may take any time")
	}
	if err := checkClock(); err == nil {
		t.Error("1000 moves of a real processor take 1000 ns each time")
	}
}

// A member that saw no packet is noticed, and one that is missing too.
func TestCheckWork(t *testing.T) {
	needFrags(t)
	l, err := loadTogether(context.Background(), 5)
	if err != nil {
		t.Fatal(err)
	}
	defer l.close()
	if err := checkWork(l.members, 5, 1); err == nil {
		t.Error("work that was not done is no error")
	}
	if _, err := instructions(l.program, 1); err != nil {
		t.Fatal(err)
	}
	if err := checkWork(l.members, 5, 1); err != nil {
		t.Errorf("work that was done: %v", err)
	}
	if err := checkWork(slices.Repeat(l.members, 2), 10, 1); err == nil {
		t.Error("the work of five passes for that of ten")
	}
}
