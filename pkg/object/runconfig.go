// SPDX-License-Identifier: Apache-2.0

package object

import (
	"fmt"

	"github.com/cilium/ebpf/btf"

	"github.com/xdp-chain/xdp-chain/pkg/chain"
)

// runConfigActions are the members that a run config can have besides priority.
var runConfigActions = map[string]chain.Action{
	"XDP_ABORTED":  chain.Aborted,
	"XDP_DROP":     chain.Drop,
	"XDP_PASS":     chain.Pass,
	"XDP_TX":       chain.TX,
	"XDP_REDIRECT": chain.Redirect,
}

// readRunConfig reads what XDP_RUN_CONFIG of libxdp's xdp/xdp_helpers.h declares
// for a function: in section .xdp_run_config, a struct variable _<function> whose
// members are pointers to arrays, each array's length being the value. Member
// priority is the run priority; a member named like an action says whether the
// chain goes on after it. Actions that are not named keep what
// [chain.DefaultProceedOn] says, as in xdp_program__parse_btf of libxdp.c.
func readRunConfig(section *btf.Datasec, function string) (chain.RunConfig, error) {
	var config chain.RunConfig
	members, err := runConfigMembers(section, function)
	if err != nil {
		return config, err
	}
	for _, m := range members {
		value, err := arrayLength(m.Type)
		if err != nil {
			return config, fmt.Errorf("member %q: %w", m.Name, err)
		}
		action, isAction := runConfigActions[m.Name]
		switch {
		case m.Name == "priority" && value > chain.MaxPriority:
			return config, fmt.Errorf("priority %d; it goes from 0 (first) to %d", value, chain.MaxPriority)
		case m.Name == "priority":
			priority := int(value)
			config.Priority = &priority
		case isAction:
			if config.ProceedOn == nil {
				set := chain.DefaultProceedOn
				config.ProceedOn = &set
			}
			*config.ProceedOn &^= 1 << action
			if value != 0 {
				*config.ProceedOn |= 1 << action
			}
		default:
			return config, fmt.Errorf("unknown member %q; there are priority and XDP_ABORTED to XDP_REDIRECT", m.Name)
		}
	}
	return config, nil
}

// runConfigMembers returns nothing where the object has no run config for the
// function.
func runConfigMembers(section *btf.Datasec, function string) ([]btf.Member, error) {
	if section == nil {
		return nil, nil
	}
	for _, info := range section.Vars {
		v, ok := info.Type.(*btf.Var)
		if !ok || v.Name != "_"+function {
			continue
		}
		config, ok := btf.UnderlyingType(v.Type).(*btf.Struct)
		if !ok {
			return nil, fmt.Errorf("%s is %s, not a struct", v.Name, typeName(v.Type))
		}
		return config.Members, nil
	}
	return nil, nil
}

// arrayLength returns the value of a member that was declared with __uint.
func arrayLength(t btf.Type) (uint32, error) {
	if pointer, ok := btf.UnderlyingType(t).(*btf.Pointer); ok {
		if array, ok := btf.UnderlyingType(pointer.Target).(*btf.Array); ok {
			return array.Nelems, nil
		}
	}
	return 0, fmt.Errorf("it is %s; declare it with __uint", typeName(t))
}
