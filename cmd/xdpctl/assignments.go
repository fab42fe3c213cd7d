// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"strings"
)

// assignments reads the NAME=VALUE of a flag that may be repeated; nil for none.
func assignments[V any](flag string, texts []string, read func(value string) (V, error)) (map[string]V, error) {
	if len(texts) == 0 {
		return nil, nil
	}
	set := make(map[string]V, len(texts))
	for _, text := range texts {
		name, value, ok := strings.Cut(text, "=")
		if !ok || name == "" {
			return nil, fmt.Errorf("%s %q is no assignment; give it as NAME=VALUE", flag, text)
		}
		if _, twice := set[name]; twice {
			return nil, fmt.Errorf("%s sets %s twice; which one counts would be a guess", flag, name)
		}
		v, err := read(value)
		if err != nil {
			return nil, inEachLine(flag+" "+name, err)
		}
		set[name] = v
	}
	return set, nil
}
