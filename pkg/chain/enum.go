// SPDX-License-Identifier: Apache-2.0

package chain

import (
	"fmt"
	"slices"
	"strings"
)

// parseEnum sets *v to the index of text in names.
func parseEnum[T ~uint8](what string, text []byte, names []string, v *T) error {
	for i, name := range names {
		if name == string(text) {
			*v = T(i)
			return nil
		}
	}
	// An empty name is that of what nobody chose.
	choice := slices.DeleteFunc(slices.Clone(names), func(name string) bool { return name == "" })
	return fmt.Errorf("%w: %s %q; use one of %s", ErrInvalid, what, text, strings.Join(choice, ", "))
}

func printEnum[T ~uint8](what string, names []string, v T) string {
	if int(v) < len(names) {
		return names[v]
	}
	return fmt.Sprintf("%s(%d)", what, uint8(v))
}

func marshalEnum[T ~uint8](what string, names []string, v T) ([]byte, error) {
	if int(v) >= len(names) {
		return nil, fmt.Errorf("%w: %d is not a %s", ErrInvalid, uint8(v), what)
	}
	return []byte(names[v]), nil
}
