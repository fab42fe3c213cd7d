// SPDX-License-Identifier: Apache-2.0

package object

import (
	"encoding/json"
	"fmt"

	"github.com/cilium/ebpf/btf"
)

// encode writes a JSON value into dst, which is zero, as a value of BTF type t in
// the host's byte order. Errors are *placeErrors where they are about a part of
// the value.
func encode(dst []byte, t btf.Type, value json.RawMessage) error {
	if size, err := btf.Sizeof(t); err != nil || size != len(dst) {
		return fmt.Errorf("the object's BTF type %s does not have the %d bytes of the place it describes", typeName(t), len(dst))
	}
	if isString(value) {
		if done, err := encodeAddress(dst, t, value); done || err != nil {
			return err
		}
	}
	switch v := btf.UnderlyingType(t).(type) {
	case *btf.Int:
		return encodeInt(dst, t, v, value)
	case *btf.Enum:
		return encodeEnum(dst, v, value)
	case *btf.Array:
		return encodeArray(dst, v, value)
	case *btf.Struct:
		return encodeStruct(dst, v, value)
	case *btf.Union:
		return encodeUnion(dst, v, value)
	case *btf.Float:
		return fmt.Errorf("%s is a floating-point type, which BPF cannot compute with; use an integer", typeName(t))
	default:
		return fmt.Errorf("a variable of type %s cannot be set", typeName(t))
	}
}

func encodeArray(dst []byte, t *btf.Array, value json.RawMessage) error {
	if isChar(t.Type) && isString(value) {
		return encodeText(dst, t, value)
	}
	list, err := elements(value)
	if err != nil {
		return wants(arrayForms(t), value)
	}
	if uint64(len(list)) != uint64(t.Nelems) {
		return fmt.Errorf("%s wants %d elements, not %d", typeName(t), t.Nelems, len(list))
	}
	for i, element := range list {
		size := len(dst) / len(list)
		if err := encode(dst[i*size:(i+1)*size], t.Type, element); err != nil {
			return at(fmt.Sprintf("[%d]", i), err)
		}
	}
	return nil
}

// arrayForms says what can be given for an array.
func arrayForms(t *btf.Array) string {
	forms := fmt.Sprintf("a list of %d elements", t.Nelems)
	switch addressSize(t) {
	case 4:
		forms = "an IPv4 address or " + forms
	case 6:
		forms = "a MAC address or " + forms
	case 16:
		forms = "an IPv6 address or " + forms
	}
	if isChar(t.Type) {
		forms = "a string or " + forms
	}
	return forms + " for " + typeName(t)
}

// encodeText leaves at least the last byte of dst zero, so that C finds the end.
func encodeText(dst []byte, t *btf.Array, value json.RawMessage) error {
	text, err := unquote(value)
	if err != nil {
		return err
	}
	for i := range len(text) {
		if text[i] == 0 {
			return fmt.Errorf("the string has a NUL at byte %d; it would end there", i)
		}
	}
	if len(text) >= len(dst) {
		return fmt.Errorf("the string has %d bytes; %s holds %d and the NUL", len(text), typeName(t), max(len(dst)-1, 0))
	}
	copy(dst, text)
	return nil
}

func encodeStruct(dst []byte, t *btf.Struct, value json.RawMessage) error {
	given, err := members(value)
	if err != nil {
		return fmt.Errorf("%s: %w", typeName(t), err)
	}
	for _, g := range given {
		if err := encodeMember(dst, t, t.Members, g); err != nil {
			return err
		}
	}
	return nil
}

// encodeUnion takes one member: a second one would overwrite it.
func encodeUnion(dst []byte, t *btf.Union, value json.RawMessage) error {
	given, err := members(value)
	if err != nil {
		return fmt.Errorf("%s: %w", typeName(t), err)
	}
	if len(given) != 1 {
		return fmt.Errorf("%s wants one member, not %d", typeName(t), len(given))
	}
	return encodeMember(dst, t, t.Members, given[0])
}

func encodeMember(dst []byte, t btf.Type, members []btf.Member, given member) error {
	m, ok := findMember(members, given.name, 0)
	if !ok {
		return fmt.Errorf("%s has no member %q; it has %s", typeName(t), given.name, enumerate(memberNames(members, 0)))
	}
	if m.BitfieldSize != 0 {
		return at("."+m.Name, fmt.Errorf("bit-fields cannot be set"))
	}
	start := uint64(m.Offset.Bytes())
	size, err := btf.Sizeof(m.Type)
	if err != nil || start+uint64(size) > uint64(len(dst)) {
		return at("."+m.Name, fmt.Errorf("the object's BTF is broken: the member lies outside of %s", typeName(t)))
	}
	return at("."+m.Name, encode(dst[start:start+uint64(size)], m.Type, given.value))
}

// maxAnonymous is how deep structs without a name may lie in each other; BTF may
// be cyclic.
const maxAnonymous = 8

// findMember finds a member by name, in structs and unions without a name too, as
// C does. Its offset is from the start of the outermost.
func findMember(members []btf.Member, name string, depth int) (btf.Member, bool) {
	for _, m := range members {
		if m.Name == name && name != "" {
			return m, true
		}
		if m.Name != "" || depth == maxAnonymous {
			continue
		}
		if inner, ok := findMember(membersOf(m.Type), name, depth+1); ok {
			inner.Offset += m.Offset
			return inner, true
		}
	}
	return btf.Member{}, false
}

func memberNames(members []btf.Member, depth int) []string {
	var names []string
	for _, m := range members {
		switch {
		case m.Name != "":
			names = append(names, m.Name)
		case depth < maxAnonymous:
			names = append(names, memberNames(membersOf(m.Type), depth+1)...)
		}
	}
	return names
}

func membersOf(t btf.Type) []btf.Member {
	switch v := btf.UnderlyingType(t).(type) {
	case *btf.Struct:
		return v.Members
	case *btf.Union:
		return v.Members
	default:
		return nil
	}
}
