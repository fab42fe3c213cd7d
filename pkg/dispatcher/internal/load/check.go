// SPDX-License-Identifier: Apache-2.0

package load

import (
	"fmt"

	"github.com/cilium/ebpf"

	"github.com/xdp-chain/xdp-chain/pkg/chain"
	"github.com/xdp-chain/xdp-chain/pkg/dispatcher"
)

// Check finds what keeps a member from being loaded by any dispatcher, and returns
// its program. Errors satisfy errors.Is(err, chain.ErrInvalid).
func Check(m *dispatcher.Member) (*ebpf.ProgramSpec, error) {
	p, err := m.Program()
	if err != nil {
		return nil, err
	}
	if len(p.Instructions) == 0 {
		return nil, fmt.Errorf("%w: program %q of member %q has no instructions", chain.ErrInvalid, m.Function, m.Name)
	}
	for name := range m.Maps {
		if m.Spec.Maps[name] == nil {
			return nil, fmt.Errorf("%w: a map was given for %q of member %q, whose object has no such map", chain.ErrInvalid, name, m.Name)
		}
	}
	return p, nil
}

// CheckProgramArrays refuses tail calls that the object itself has set up: the
// programs they lead to are not loaded with the member. Errors satisfy errors.Is(err,
// dispatcher.ErrProgramArray).
func CheckProgramArrays(m *dispatcher.Member) error {
	for name, spec := range m.Spec.Maps {
		if spec.Type != ebpf.ProgramArray {
			continue
		}
		for _, kv := range spec.Contents {
			if program, ok := kv.Value.(string); ok {
				return fmt.Errorf("%w: program array %q of member %q is filled with %q by the object; "+
					"leave the array empty in the object and fill it after the attachment", dispatcher.ErrProgramArray, name, m.Name, program)
			}
		}
	}
	return nil
}
