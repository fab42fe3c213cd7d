// SPDX-License-Identifier: Apache-2.0

package linked

import (
	"fmt"
	"strings"

	"github.com/xdp-chain/xdp-chain/pkg/chain"
	"github.com/xdp-chain/xdp-chain/pkg/dispatcher"
)

// checkLicenses refuses a chain in which some licences are compatible with the GPL
// and some are not. As one program it would either be denied the helpers that its
// GPL members may call, or would lend them to the others.
func checkLicenses(members []dispatcher.Member) error {
	var gpl, other []string
	for _, m := range members {
		license := m.Spec.Programs[m.Function].License
		who := fmt.Sprintf("%s (%q)", m.Name, license)
		if chain.GPLCompatible(license) {
			gpl = append(gpl, who)
		} else {
			other = append(other, who)
		}
	}
	if len(gpl) == 0 || len(other) == 0 {
		return nil
	}
	return fmt.Errorf("%w: compatible with the GPL: %s; not compatible: %s; a program has one licence, so all or none of them must be compatible",
		dispatcher.ErrMixedLicenses, strings.Join(gpl, ", "), strings.Join(other, ", "))
}
