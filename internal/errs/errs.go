// SPDX-License-Identifier: Apache-2.0

// Package errs says in an error what was being done when it came up.
package errs

import "fmt"

// Wrapf returns "<text>: <err>" as an error that wraps err, and nil where that is nil.
func Wrapf(err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", fmt.Sprintf(format, args...), err)
}
