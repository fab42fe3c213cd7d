// SPDX-License-Identifier: Apache-2.0

package main

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestShares(t *testing.T) {
	suitesOf := func(packages ...string) (list []suite) {
		for _, pkg := range packages {
			list = append(list, suite{pkg: pkg})
		}
		return list
	}
	for _, tt := range []struct {
		all  []suite
		want [][]suite
	}{
		{nil, [][]suite{nil}},
		{suitesOf("internal/node"), [][]suite{suitesOf("internal/node")}},
		{suitesOf("integration/libxdp"), [][]suite{suitesOf("integration/libxdp")}},
		{
			suitesOf("integration/cnitool", "internal/node", "integration/libxdp", "cmd/xdpctl"),
			[][]suite{suitesOf("integration/libxdp"), suitesOf("internal/node", "cmd/xdpctl"), suitesOf("integration/cnitool")},
		},
	} {
		if diff := cmp.Diff(tt.want, shares(tt.all), cmp.AllowUnexported(suite{})); diff != "" {
			t.Errorf("shares of %v (-want +got):\n%s", tt.all, diff)
		}
	}
}
