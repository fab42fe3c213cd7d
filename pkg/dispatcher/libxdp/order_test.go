// SPDX-License-Identifier: Apache-2.0

package libxdp

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/xdp-chain/xdp-chain/pkg/dispatcher"
	"github.com/xdp-chain/xdp-chain/pkg/dispatcher/internal/chaintest"
)

// Each rank comes before the next one, by the first thing in which they differ.
func TestCompare(t *testing.T) {
	ranks := []rank{
		{priority: 0, function: "z", tag: "ff", loadTime: 9},
		{priority: 10, function: "A", instructions: 90},
		{priority: 10, function: "_", instructions: 80},
		{priority: 10, function: "a", loaded: true, tag: "00ff", loadTime: 7},
		{priority: 10, function: "a", loaded: true, tag: "0100", loadTime: 5},
		{priority: 10, function: "a", loaded: true, tag: "0100", loadTime: 6},
		{priority: 10, function: "a", instructions: 2},
		{priority: 10, function: "a", instructions: 10},
		{priority: 10, function: "a2"},
		{priority: 9999, function: "a"},
	}
	for i, a := range ranks {
		for j, b := range ranks {
			if got, want := compare(a, b), min(1, max(-1, i-j)); got != want {
				t.Errorf("comparing %+v with %+v: %d, want %d", a, b, got, want)
			}
		}
	}
}

// Members of ours stand by their names, until one of others is among them: then all
// stand by the names of their functions, which are the other way round here.
func TestOrder(t *testing.T) {
	own := func(name, function string, priority int) dispatcher.Member {
		m := chaintest.Returning(name, priority, 2)
		m.Function = function
		p := m.Spec.Programs["main"]
		p.Name = function
		delete(m.Spec.Programs, "main")
		m.Spec.Programs[function] = p
		return m
	}
	their := dispatcher.Member{Member: chaintest.Settled("the-long-name-of-theirs", "", 5, 0), Loaded: using(t, "the_long_name_of_theirs", true)}
	loaded := own("loaded", "the_long_name_of_ours", 5)
	loaded.Loaded = using(t, "the_long_name_of_ours", true)
	for _, tt := range []struct {
		members []dispatcher.Member
		want    []string
	}{
		{
			[]dispatcher.Member{own("c", "1", 7), own("b", "2", 5), own("a", "3", 5)},
			[]string{"a", "b", "c"},
		},
		{
			[]dispatcher.Member{their, own("c", "1", 7), own("b", "2", 5), own("a", "3", 5), own("z", "z", 5), loaded},
			[]string{"b", "a", "loaded", "the-long-name-of-theirs", "z", "c"},
		},
	} {
		members := slices.Clone(tt.members)
		if err := order(members); err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, m := range members {
			got = append(got, m.Name)
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("order (-want +got):\n%s", diff)
		}
	}
}
