// SPDX-License-Identifier: Apache-2.0

package config

import "testing"

func TestNamespacesAdmit(t *testing.T) {
	tests := []struct {
		name       string
		namespaces Namespaces
		namespace  string
		want       bool
	}{
		{"no lists", Namespaces{}, "shop", true},
		{"no lists, no namespace", Namespaces{}, "", true},
		{"excluded", Namespaces{Exclude: []string{"a", "shop"}}, "shop", false},
		{"not excluded", Namespaces{Exclude: []string{"a"}}, "shop", true},
		{"not excluded, no namespace", Namespaces{Exclude: []string{"a"}}, "", true},
		{"included", Namespaces{Include: []string{"a", "shop"}}, "shop", true},
		{"not included", Namespaces{Include: []string{"a"}}, "shop", false},
		{"not included, no namespace", Namespaces{Include: []string{"a"}}, "", false},
		{"nothing included", Namespaces{Include: []string{}}, "shop", false},
		{"nothing excluded", Namespaces{Exclude: []string{}}, "shop", true},
	}
	for _, tt := range tests {
		if got := tt.namespaces.Admits(tt.namespace); got != tt.want {
			t.Errorf("%s: admits(%q) = %t, want %t", tt.name, tt.namespace, got, tt.want)
		}
	}
}
