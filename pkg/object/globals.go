// SPDX-License-Identifier: Apache-2.0

package object

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/cilium/ebpf/btf"
)

// SetGlobals sets global variables of the program, constants included, to values
// encoded by the variables' BTF types (see the package's description). It sets all
// of them or none. Errors name the variable, the type and what was given; a name
// that is no variable's is an error that lists those there are.
func (p *Program) SetGlobals(globals map[string]json.RawMessage) error {
	encoded := make(map[string][]byte, len(globals))
	for _, name := range slices.Sorted(maps.Keys(globals)) {
		value, err := p.encodeGlobal(name, globals[name])
		if err != nil {
			return err
		}
		encoded[name] = value
	}
	for name, value := range encoded {
		// To the variable and to the section that it lies in, so that the spec says the
		// same in both places whatever a loader does with variables.
		v := p.Spec.Variables[name]
		v.Value = value
		section := p.Spec.Maps[v.SectionName].Contents[0].Value.([]byte) // as cilium/ebpf's loadDataSections makes it
		copy(section[v.Offset:], value)
	}
	return nil
}

// CheckGlobal returns nil if [Program.SetGlobals] could set the variable to the value, and
// its error otherwise. It sets nothing.
func (p *Program) CheckGlobal(name string, value json.RawMessage) error {
	_, err := p.encodeGlobal(name, value)
	return err
}

func (p *Program) encodeGlobal(name string, value json.RawMessage) (encoded []byte, err error) {
	switch v := p.Spec.Variables[name]; {
	case v == nil:
		err = p.explainMissing(name)
	case v.Type == nil:
		err = errors.New("the object does not say its type; compile it with -g, and keep .BTF when stripping")
	case !json.Valid(value):
		err = fmt.Errorf("%q is not JSON", value)
	default:
		encoded = make([]byte, v.Size())
		err = encode(encoded, v.Type.Type, value)
	}
	if err != nil {
		return nil, unusable{fmt.Errorf("object %s: global %w", p.object.Origin, at(name, err))}
	}
	return encoded, nil
}

// explainMissing says why there is no variable of that name to set.
func (p *Program) explainMissing(name string) error {
	if v := p.object.spec.Variables[name]; v != nil {
		return fmt.Errorf("program %q does not use %s, where the object keeps it", p.Function, v.SectionName)
	}
	for section, spec := range p.object.spec.Maps {
		datasec, ok := spec.Value.(*btf.Datasec)
		if ok && isDataSection(section) && slices.Contains(variables(datasec), name) {
			return fmt.Errorf("it is static or hidden, so the object has no symbol for it; remove the qualifier")
		}
	}
	var names []string
	for _, name := range slices.Sorted(maps.Keys(p.Spec.Variables)) {
		v := p.Spec.Variables[name]
		if v.Type != nil {
			name += " (" + typeName(v.Type.Type) + ")"
		}
		names = append(names, name)
	}
	return fmt.Errorf("there is no such variable; the program has %s", enumerate(names))
}

// isDataSection reports whether a map of the spec is a section of variables, which
// bear names that no declared map can have.
func isDataSection(name string) bool { return strings.HasPrefix(name, ".") }
