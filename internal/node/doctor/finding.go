// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"fmt"

	"github.com/xdp-chain/xdp-chain/internal/enum"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
)

// FindingState says how bad a [Finding] is. The zero value is StateOK.
type FindingState uint8

// The values of FindingState.
const (
	// StateOK is as it should be.
	StateOK FindingState = iota
	// StateWarning works, or will, and somebody should look.
	StateWarning
	// StateFailing keeps something from working.
	StateFailing
)

var findingStateNames = enum.Names[FindingState]{
	What: "state", Invalid: chain.ErrInvalid, List: []string{"ok", "warning", "failing"},
}

// Finding is what was found about one thing that chains depend on. Its JSON form is
// stable: fields are added, none is taken away or given another meaning.
type Finding struct {
	// Check names the thing, such as "bpffs".
	Check string       `json:"check"`
	State FindingState `json:"state"`
	// Found is what was found, a sentence.
	Found string `json:"found"`
	// Do is what to do about it; empty where the state is ok.
	Do string `json:"do,omitempty"`
}

// OK is a finding of something that is as it should be.
func OK(check, found string) Finding { return Finding{check, StateOK, found, ""} }

// Warning is a finding that somebody should look at.
func Warning(check, found, do string) Finding { return Finding{check, StateWarning, found, do} }

// Failing is a finding of something that keeps chains from working.
func Failing(check, found, do string) Finding { return Finding{check, StateFailing, found, do} }

func counted(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
