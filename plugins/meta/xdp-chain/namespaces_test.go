// SPDX-License-Identifier: Apache-2.0

package main

import "testing"

func TestNamespacesAdmit(t *testing.T) {
	tests := []struct {
		name       string
		namespaces namespaces
		namespace  string
		want       bool
	}{
		{"no lists", namespaces{}, "shop", true},
		{"no lists, no namespace", namespaces{}, "", true},
		{"excluded", namespaces{Exclude: []string{"a", "shop"}}, "shop", false},
		{"not excluded", namespaces{Exclude: []string{"a"}}, "shop", true},
		{"not excluded, no namespace", namespaces{Exclude: []string{"a"}}, "", true},
		{"included", namespaces{Include: []string{"a", "shop"}}, "shop", true},
		{"not included", namespaces{Include: []string{"a"}}, "shop", false},
		{"not included, no namespace", namespaces{Include: []string{"a"}}, "", false},
		{"nothing included", namespaces{Include: []string{}}, "shop", false},
		{"nothing excluded", namespaces{Exclude: []string{}}, "shop", true},
	}
	for _, tt := range tests {
		if got := tt.namespaces.admits(tt.namespace); got != tt.want {
			t.Errorf("%s: admits(%q) = %t, want %t", tt.name, tt.namespace, got, tt.want)
		}
	}
}
