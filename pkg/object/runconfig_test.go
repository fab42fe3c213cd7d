// SPDX-License-Identifier: Apache-2.0

package object

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/xdp-chain/xdp-chain/pkg/chain"
)

func TestRunConfig(t *testing.T) {
	tests := []struct {
		function string
		want     chain.RunConfig
	}{
		{"silent", chain.RunConfig{}},
		{"both", chain.RunConfig{Priority: new(10), ProceedOn: new(chain.DefaultProceedOn | chain.ActionSetOf(chain.Drop))}},
		{"only_priority", chain.RunConfig{Priority: new(0)}},
		{"only_actions", chain.RunConfig{ProceedOn: new(chain.ActionSetOf(chain.TX, chain.DispatcherReturn))}},
	}
	for _, test := range tests {
		t.Run(test.function, func(t *testing.T) {
			if diff := cmp.Diff(test.want, program(t, "runconfig.o", test.function).RunConfig); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestRunConfigRefuses(t *testing.T) {
	tests := []struct{ function, want string }{
		{"unknown", `unknown member "XDP_HOLD"`},
		{"huge", "priority 2147483648"},
		{"mistyped", `member "priority": it is int; declare it with __uint`},
		{"no_struct", "_no_struct is int, not a struct"},
	}
	for _, test := range tests {
		t.Run(test.function, func(t *testing.T) {
			_, err := load(t, "runconfig.o").Program(test.function)
			wantError(t, err, "object runconfig.o", test.function, test.want)
		})
	}
}
