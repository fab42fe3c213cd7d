// SPDX-License-Identifier: Apache-2.0

package chain

import "slices"

// gplLicenses is the list of license_is_gpl_compatible in the kernel's
// include/linux/license.h, which compares byte by byte.
var gplLicenses = []string{
	"GPL",
	"GPL v2",
	"GPL and additional rights",
	"Dual BSD/GPL",
	"Dual MIT/GPL",
	"Dual MPL/GPL",
}

// GPLCompatible reports whether the kernel lets a program of this license call
// helpers that are GPL only.
func GPLCompatible(license string) bool { return slices.Contains(gplLicenses, license) }
