// SPDX-License-Identifier: Apache-2.0

package main

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/xdp-chain/xdp-chain/internal/testenv"
)

// In each of the kernels a bridge comes after what it is made of, once, and what the
// kernel does not have is named.
func TestModules(t *testing.T) {
	if err := possible(); err != nil {
		testenv.Skip(t, err.Error())
	}
	l, err := newLab(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	userland, err := l.userland(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range kernels {
		t.Run(k.series, func(t *testing.T) {
			dir, err := k.fetch(t.Context(), l)
			if err != nil && k.optional {
				t.Skip(err)
			}
			if err != nil {
				t.Fatal(err)
			}
			tree, err := newModuleTree(dir, filepath.Join(userland, "bin/busybox"), "xzcat")
			if err != nil {
				t.Fatal(err)
			}
			for _, name := range []string{"stp", "bridge", "bridge"} {
				if err := tree.choose(t.Context(), name); err != nil {
					t.Fatal(err)
				}
			}
			var names []string
			for _, m := range tree.chosen {
				names = append(names, m.name)
			}
			if want := []string{"llc.ko", "stp.ko", "bridge.ko"}; !slices.Equal(names, want) {
				t.Errorf("chosen %v, want %v", names, want)
			}
			if err := tree.choose(t.Context(), "no_such"); err == nil || !strings.Contains(err.Error(), "no_such") {
				t.Errorf("no_such: %v", err)
			}
		})
	}
}
