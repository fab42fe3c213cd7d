// SPDX-License-Identifier: Apache-2.0

package chaintest

import (
	"testing"

	"github.com/xdp-chain/xdp-chain/pkg/dispatcher"
)

// Test holds a dispatcher against what every chain means and promises.
func Test(t *testing.T, d dispatcher.Dispatcher) {
	for _, tt := range []struct {
		name string
		test func(*testing.T, dispatcher.Dispatcher)
	}{
		{"every proceedOn", everyProceedOn},
		{"random chains", randomChains},
		{"order", order},
		{"same names", sameNames},
		{"one of several programs", oneOfSeveral},
		{"callback", callback},
		{"tail call", tailCall},
		{"frags", frags},
		{"kernel version", kernelVersion},
		{"CO-RE", coRE},
		{"members unchanged", membersUnchanged},
		{"given maps", givenMaps},
		{"wrong map given", wrongMapGiven},
		{"map refused", mapRefused},
		{"map in map", mapInMap},
		{"second stages", secondStages},
		{"second stages elsewhere", secondStagesElsewhere},
		{"second stage refused", secondStageRefused},
		{"member refused", memberRefused},
		{"bad members", badMembers},
		{"not permitted", notPermitted},
		{"canceled", canceled},
		{"nothing is left", nothingIsLeft},
	} {
		t.Run(tt.name, func(t *testing.T) { tt.test(t, d) })
	}
}
