// SPDX-License-Identifier: Apache-2.0

package libxdp

import (
	"testing"

	"github.com/xdp-chain/xdp-chain/internal/testenv"
	"github.com/xdp-chain/xdp-chain/pkg/dispatcher"
	"github.com/xdp-chain/xdp-chain/pkg/dispatcher/internal/chaintest"
)

func TestMain(m *testing.M) { testenv.Main(m) }

func TestMeaning(t *testing.T) {
	testenv.NeedFreplace(t)
	chaintest.Test(t, New(DefaultVersion))
}

// build builds a chain that is closed at the end of the test.
func build(t testing.TB, members ...dispatcher.Member) *dispatcher.Built {
	t.Helper()
	return chaintest.Build(t, New(DefaultVersion), dispatcher.Options{}, members...)
}

// buildError returns the error of a chain that must not load.
func buildError(t testing.TB, members ...dispatcher.Member) error {
	t.Helper()
	return chaintest.BuildError(t, New(DefaultVersion), dispatcher.Options{}, members...)
}
