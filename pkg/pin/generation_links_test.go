// SPDX-License-Identifier: Apache-2.0

package pin_test

import (
	"testing"

	"github.com/cilium/ebpf/link"
	"github.com/google/go-cmp/cmp"

	"github.com/xdp-chain/xdp-chain/pkg/pin"
)

// checkLinks compares the links that a chain's members are opened with.
func checkLinks(t *testing.T, l *pin.Locked, want map[string]link.Link) {
	t.Helper()
	opened, err := l.OpenLinks()
	if err != nil {
		t.Error(err)
		return
	}
	if diff := cmp.Diff(linkIDs(t, want), linkIDs(t, opened)); diff != "" {
		t.Errorf("links of the members (-want +got):\n%s", diff)
	}
	for _, k := range opened {
		k.Close()
	}
}

func linkIDs(t *testing.T, links map[string]link.Link) map[string]link.ID {
	t.Helper()
	ids := make(map[string]link.ID, len(links))
	for member, k := range links {
		ids[member] = linkID(t, k)
	}
	return ids
}

// TestPinnedLinksHoldTheirMembers takes away every other hold on a link.
func TestPinnedLinksHoldTheirMembers(t *testing.T) {
	ensure(t)
	l := lockForTest(t, key)
	k := newSlot(t).Link
	want := map[string]link.ID{"a.b": linkID(t, k)}
	if err := l.Stage(1, nil, nil, map[string]link.Link{"a.b": k}); err != nil {
		t.Fatal(err)
	}
	if err := l.FinalizePins(1); err != nil {
		t.Fatal(err)
	}
	if err := k.Close(); err != nil {
		t.Fatal(err)
	}
	opened, err := l.OpenLinks()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, linkIDs(t, opened)); diff != "" {
		t.Errorf("links (-want +got):\n%s", diff)
	}
	// Staged from its pin it stays where it is pinned.
	if err := l.Stage(2, nil, nil, opened); err != nil {
		t.Error(err)
	}
	for _, k := range opened {
		k.Close()
	}
	if err := l.FinalizePins(1); err != nil {
		t.Fatal(err)
	}
	if opened, err = l.OpenLinks(); err != nil {
		t.Fatal(err)
	}
	defer opened["a.b"].Close()
	if diff := cmp.Diff(want, linkIDs(t, opened)); diff != "" {
		t.Errorf("links after staging them once more (-want +got):\n%s", diff)
	}
}

func TestStageRefusesNamesOfMembers(t *testing.T) {
	ensure(t)
	l := lockForTest(t, key)
	if err := l.Stage(1, nil, nil, map[string]link.Link{"../x": newSlot(t).Link}); err == nil {
		t.Error("staged a link outside of its folder")
	}
	if left := listTree(t, chainFolder()); len(left) != 0 {
		t.Errorf("left in the chain's folder: %v", left)
	}
}
