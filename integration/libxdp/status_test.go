// SPDX-License-Identifier: Apache-2.0

package libxdp

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// status is what `xdp-loader status` shows of one interface.
type status struct {
	program string // on the hook; "" where there is none
	mode    string // native, skb
	id      uint32
	members []shown // in running order; none where the program is no dispatcher
}

// shown is a member as xdp-loader shows it.
type shown struct {
	name     string
	priority int
	actions  string // XDP_PASS,XDP_DROP
	id       uint32
}

// names returns the members' functions in running order.
func (s status) names() []string {
	var names []string
	for _, m := range s.members {
		names = append(names, m.name)
	}
	return names
}

// unnumbered is the status without the ids, which a test cannot know before.
func (s status) unnumbered() []shown {
	var members []shown
	for _, m := range s.members {
		m.id = 0
		members = append(members, m)
	}
	return members
}

// statusOf reads the table of `xdp-loader status`: a line for the interface with
//
//	Interface  Prio  Program name  Mode  ID  Tag  Chain actions
//
// of which it leaves out Prio and Chain actions, and a line " =>" for each member,
// which leaves out Mode.
func statusOf(text string) (s status, err error) {
	_, table, found := strings.Cut(text, "-----\n")
	if !found {
		return s, fmt.Errorf("xdp-loader shows no table:\n%s", text)
	}
	for line := range strings.Lines(table) {
		var m shown
		words := strings.Fields(line)
		switch {
		case len(words) == 0 || strings.Contains(line, "<No XDP program loaded!>"):
		case words[0] == "=>":
			_, err = fmt.Sscan(line[len(" =>"):], &m.priority, &m.name, &m.id, new(string), &m.actions)
			s.members = append(s.members, m)
		default:
			_, err = fmt.Sscan(line, new(string), &s.program, &s.mode, &s.id)
		}
		if err != nil {
			return s, fmt.Errorf("xdp-loader shows a line that is not understood, %q: %w", line, err)
		}
	}
	return s, nil
}

// wantMembers fails the test unless xdp-loader shows these functions, in this order.
func wantMembers(t *testing.T, x tools, functions ...string) {
	t.Helper()
	if diff := cmp.Diff(functions, x.status(t).names()); diff != "" {
		t.Errorf("xdp-loader shows other members (-want +got):\n%s", diff)
	}
}
