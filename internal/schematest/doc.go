// SPDX-License-Identifier: Apache-2.0

// Package schematest holds the schemas of package schema against the Go types and the
// documents that they describe. Only tests import it.
//
// A document is checked by a validator for draft 2020-12 that takes formats seriously.
// Types are compared by the names of their fields alone, all the way down: a field that is
// in one of the two only is what gets forgotten, and the documents show the rest.
package schematest
