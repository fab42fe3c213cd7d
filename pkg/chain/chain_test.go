// SPDX-License-Identifier: Apache-2.0

package chain

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestCompareOrdersByPriorityThenNameBytewise(t *testing.T) {
	want := []Member{
		{Name: "z", Priority: 0},
		{Name: "a-b", Priority: 10},
		{Name: "a0", Priority: 10},
		{Name: "aa", Priority: 10},
		{Name: "b", Priority: 10},
		{Name: "a", Priority: 1000},
	}
	got := slices.Clone(want)
	slices.Reverse(got)
	slices.SortFunc(got, Compare)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestPositionsAreRanks(t *testing.T) {
	var members []Member
	for _, priority := range []int{500, 100, 800, 300, 900, 200, 700, 400, 600, 50} {
		members = append(members, Member{Name: fmt.Sprint("m", priority), Priority: priority})
	}
	slices.SortFunc(members, Compare)
	var got []int
	for _, m := range members {
		got = append(got, m.Priority)
	}
	if diff := cmp.Diff([]int{50, 100, 200, 300, 400, 500, 600, 700, 800, 900}, got); diff != "" {
		t.Error(diff)
	}
}

func TestCheckMembers(t *testing.T) {
	many := make([]Member, 65)
	for i := range many {
		many[i] = Member{Name: fmt.Sprint("m", i)}
	}
	for _, tt := range []struct {
		name    string
		members []Member
		want    error
	}{
		{"none", nil, nil},
		{"64", many[:64], nil},
		{"65", many, ErrTooManyMembers},
		{"twice", []Member{{Name: "a"}, {Name: "b"}, {Name: "a"}}, ErrInvalid},
		{"bad name", []Member{{Name: "A"}}, ErrInvalid},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if err := CheckMembers(tt.members, 64); !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
		})
	}
}

func TestDecide(t *testing.T) {
	on := func(actions ...Action) Member { return Member{ProceedOn: ActionSetOf(actions...)} }
	for _, tt := range []struct {
		name     string
		members  []Member
		returns  []uint32
		position int
		verdict  uint32
	}{
		{"no member", nil, nil, End, 2},
		{"through", []Member{on(Pass), on(Pass)}, []uint32{2, 2}, End, 2},
		{"through by drop is pass", []Member{on(Drop)}, []uint32{1}, End, 2},
		{"alone, verdict not in its set", []Member{on(Drop)}, []uint32{2}, 0, 2},
		{"first drops", []Member{on(Pass), on(Pass)}, []uint32{1, 2}, 0, 1},
		{"second redirects", []Member{on(Pass), on(Pass)}, []uint32{2, 4}, 1, 4},
		{"empty set", []Member{on()}, []uint32{0}, 0, 0},
		{"dispatcher_return goes on", []Member{on(DispatcherReturn)}, []uint32{31}, End, 2},
		{"32 is final", []Member{{ProceedOn: ^ActionSet(0)}}, []uint32{32}, 0, 32},
		{"-1 is final", []Member{{ProceedOn: ^ActionSet(0)}}, []uint32{1<<32 - 1}, 0, 1<<32 - 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			position, verdict := Decide(tt.members, tt.returns)
			if position != tt.position || verdict != tt.verdict {
				t.Errorf("position %d, verdict %d; want %d, %d", position, verdict, tt.position, tt.verdict)
			}
		})
	}
}

func TestVerdictOf(t *testing.T) {
	for value, want := range map[uint32]Verdict{
		0: VerdictAborted, 1: VerdictDrop, 2: VerdictPass, 3: VerdictTX, 4: VerdictRedirect,
		5: VerdictInvalid, 30: VerdictInvalid, 31: VerdictDispatcherReturn, 32: VerdictInvalid, 1<<32 - 1: VerdictInvalid,
	} {
		if got := VerdictOf(value); got != want {
			t.Errorf("VerdictOf(%d) is %s, want %s", value, got, want)
		}
	}
}
