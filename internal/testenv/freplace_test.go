// SPDX-License-Identifier: Apache-2.0

package testenv_test

import (
	"testing"

	"github.com/xdp-chain/xdp-chain/internal/testenv"
)

// The probe itself: in the lab it must find that functions can be replaced, and it
// must leave nothing anywhere.
func TestNeedFreplaceLeavesNothing(t *testing.T) {
	testenv.NoLeaks(t)
	testenv.NeedFreplace(t)
}
