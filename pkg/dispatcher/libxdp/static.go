// SPDX-License-Identifier: Apache-2.0

package libxdp

import (
	"errors"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
)

// loadExtension loads an extension program. Kernels as old as 5.10 look for the type
// of an extension's context under its own program type instead of its target's
// (btf_get_prog_ctx_type in kernel/bpf/btf.c), find none, and so refuse each global
// function that is given the context. For them such functions become static: the
// verifier then follows each call instead of proving the function once.
func loadExtension(spec *ebpf.ProgramSpec) (*ebpf.Program, error) {
	p, err := ebpf.NewProgram(spec)
	var refused *ebpf.VerifierError
	if errors.As(err, &refused) && strings.Contains(strings.Join(refused.Log, "\n"), "Caller passes invalid args into func#") {
		if p, staticErr := ebpf.NewProgram(withStaticFunctions(spec)); staticErr == nil {
			return p, nil
		}
	}
	return p, err
}

// withStaticFunctions returns a copy of a program in which only the entry is global.
func withStaticFunctions(spec *ebpf.ProgramSpec) *ebpf.ProgramSpec {
	spec = spec.Copy()
	for i := range spec.Instructions[1:] {
		ins := &spec.Instructions[1+i]
		if fn := btf.FuncMetadata(ins); fn != nil {
			static := *fn
			static.Linkage = btf.StaticFunc
			*ins = btf.WithFuncMetadata(*ins, &static)
		}
	}
	return spec
}
