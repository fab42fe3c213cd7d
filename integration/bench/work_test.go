// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"slices"
	"testing"
)

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
