// SPDX-License-Identifier: Apache-2.0

package netdev

import (
	"errors"
	"testing"

	"github.com/xdp-chain/xdp-chain/internal/testenv"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
)

// Swap and detach by netlink touch the expected program and no other.
func TestNetlinkChangesOnlyWhatIsExpected(t *testing.T) {
	testenv.NoLeaks(t)
	for _, mode := range []chain.Mode{chain.ModeNative, chain.ModeGeneric} {
		t.Run(mode.String(), func(t *testing.T) {
			pod, _ := pair(t, 1500)
			first, second, foreign := program(t, "first", xdpDrop, false), program(t, "second", xdpDrop, false), program(t, "foreign", xdpPass, false)
			mustHold(t, pod, chain.AttachNetlink, AttachOptions{Program: first, Mode: mode})

			if err := pod.ReplaceNetlink(second, first, mode, false); err != nil {
				t.Fatal(err)
			}
			wantAttached(t, pod, Attached{ProgramID: id(t, second), Mode: mode})

			// Somebody with CAP_NET_ADMIN in the pod puts his own in place of ours.
			if err := pod.changeNetlink(foreign.FD(), noFD, modeFlags(mode)); err != nil {
				t.Fatal(err)
			}
			his := Attached{ProgramID: id(t, foreign), Name: "foreign", Mode: mode, Attach: chain.AttachNetlink}
			wantBusy(t, pod.ReplaceNetlink(first, second, mode, false), his)
			wantBusy(t, pod.DetachNetlink(second, mode), his)
			wantAttached(t, pod, Attached{ProgramID: his.ProgramID, Mode: mode})

			takeOff(t, pod, nil, foreign, mode)
			if err := pod.ReplaceNetlink(first, second, mode, false); !errors.Is(err, ErrNotAttached) {
				t.Errorf("swap where nothing is attached: %v; want ErrNotAttached", err)
			}
			if err := pod.DetachNetlink(second, mode); err != nil {
				t.Errorf("detach where nothing is attached: %v", err)
			}
			wantAttached(t, pod, Attached{})
		})
	}
}

// A foreign program in the other mode is not taken for ours, nor ours put beside it.
func TestNetlinkForeignInTheOtherMode(t *testing.T) {
	pod, _ := pair(t, 1500)
	ours, foreign := program(t, "ours", xdpDrop, false), program(t, "foreign", xdpPass, false)
	mustHold(t, pod, chain.AttachNetlink, AttachOptions{Program: foreign, Mode: chain.ModeGeneric})
	his := Attached{ProgramID: id(t, foreign), Name: "foreign", Mode: chain.ModeGeneric, Attach: chain.AttachNetlink}
	wantBusy(t, pod.ReplaceNetlink(ours, ours, chain.ModeNative, false), his)
	wantBusy(t, pod.DetachNetlink(ours, chain.ModeNative), his)
	wantAttached(t, pod, Attached{ProgramID: his.ProgramID, Mode: chain.ModeGeneric})
}
