// SPDX-License-Identifier: Apache-2.0

package catalog

import (
	"testing"

	"github.com/xdp-chain/xdp-chain/internal/schematest"
)

func TestSchemaFields(t *testing.T) {
	schematest.Open(t, "catalog-entry").Reads(t, document{})
}
