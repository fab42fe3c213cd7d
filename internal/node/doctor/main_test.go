// SPDX-License-Identifier: Apache-2.0

package doctor_test

import (
	"testing"

	"github.com/xdp-chain/xdp-chain/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }
