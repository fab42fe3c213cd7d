// SPDX-License-Identifier: Apache-2.0

package containerd

import (
	"testing"

	"github.com/xdp-chain/xdp-chain/internal/plugintest"
	"github.com/xdp-chain/xdp-chain/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// fields are the fields of a plugin's entry, or of any JSON object.
type fields = plugintest.Fields
