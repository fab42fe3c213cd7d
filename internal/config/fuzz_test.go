// SPDX-License-Identifier: Apache-2.0

package config

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/xdp-chain/xdp-chain/pkg/chain"
)

// FuzzParse hands over documents as configurations. Whatever comes, an error is one of
// the two kinds and says something, and what is accepted holds what internal/node relies on.
func FuzzParse(f *testing.F) {
	examples, err := filepath.Glob("testdata/*.json")
	if err != nil || len(examples) == 0 {
		f.Fatalf("no examples: %v", err)
	}
	for _, path := range examples {
		content, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(content)
	}
	f.Fuzz(func(t *testing.T, document []byte) {
		c, err := Parse(document)
		if err != nil {
			if err.Error() == "" || !errors.Is(err, ErrNotJSON) && !errors.Is(err, chain.ErrInvalid) {
				t.Fatalf("error %#v", err)
			}
			return
		}
		type place struct {
			side Side
			name string
		}
		names := make(map[place]bool)
		for _, p := range c.Programs {
			if err := p.Check(); err != nil {
				t.Errorf("accepted: %v", err)
			}
			at := place{c.Side, p.Name}
			if p.Side != nil {
				at.side = *p.Side
			}
			if names[at] {
				t.Errorf("accepted two programs named %q on side %s", at.name, at.side)
			}
			names[at] = true
		}
	})
}
