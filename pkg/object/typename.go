// SPDX-License-Identifier: Apache-2.0

package object

import (
	"fmt"
	"strings"

	"github.com/cilium/ebpf/btf"
)

// typeName writes a type as C would, for messages: "__u32", "char[16]",
// "struct key".
func typeName(t btf.Type) string {
	var suffix strings.Builder
	for range 32 { // BTF may be cyclic
		switch v := t.(type) {
		case *btf.Array:
			fmt.Fprintf(&suffix, "[%d]", v.Nelems)
			t = v.Type
		case *btf.Const:
			t = v.Type
		case *btf.Volatile:
			t = v.Type
		case *btf.Restrict:
			t = v.Type
		case *btf.TypeTag:
			t = v.Type
		default:
			return plainName(t) + suffix.String()
		}
	}
	return "a type that is nested too deeply"
}

func plainName(t btf.Type) string {
	name := t.TypeName()
	switch v := t.(type) {
	case *btf.Struct:
		return strings.TrimSpace("struct " + name)
	case *btf.Union:
		return strings.TrimSpace("union " + name)
	case *btf.Enum:
		return strings.TrimSpace("enum " + name)
	case *btf.Pointer:
		return "a pointer"
	case *btf.Void:
		return "void"
	default:
		if name == "" {
			return fmt.Sprintf("%T", v)
		}
		return name
	}
}
