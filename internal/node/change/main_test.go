// SPDX-License-Identifier: Apache-2.0

package change_test

import (
	"testing"

	"github.com/xdp-chain/xdp-chain/internal/crashtest"
	"github.com/xdp-chain/xdp-chain/internal/node/nodetest"
	"github.com/xdp-chain/xdp-chain/internal/testenv"
)

func TestMain(m *testing.M) {
	crashtest.Child(nodetest.Bodies())
	testenv.Main(m)
}
