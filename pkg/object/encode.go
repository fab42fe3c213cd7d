// SPDX-License-Identifier: Apache-2.0

package object

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"

	"github.com/cilium/ebpf/btf"

	"github.com/xdp-chain/xdp-chain/internal/bpfspec"
	"github.com/xdp-chain/xdp-chain/internal/jsonint"
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
	case *btf.Struct, *btf.Union:
		return encodeMembers(dst, v, value)
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
	if kind := map[int]string{4: "an IPv4", 6: "a MAC", 16: "an IPv6"}[addressSize(t)]; kind != "" {
		forms = kind + " address or " + forms
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
	if i := strings.IndexByte(text, 0); i >= 0 {
		return fmt.Errorf("the string has a NUL at byte %d; it would end there", i)
	}
	if len(text) >= len(dst) {
		return fmt.Errorf("the string has %d bytes; %s holds %d and the NUL", len(text), typeName(t), max(len(dst)-1, 0))
	}
	copy(dst, text)
	return nil
}

// encodeMembers writes a struct or a union, of which it takes one member: a second one
// would overwrite it.
func encodeMembers(dst []byte, t btf.Type, value json.RawMessage) error {
	given, err := members(value)
	if err != nil {
		return fmt.Errorf("%s: %w", typeName(t), err)
	}
	if _, union := t.(*btf.Union); union && len(given) != 1 {
		return fmt.Errorf("%s wants one member, not %d", typeName(t), len(given))
	}
	for _, g := range given {
		if err := encodeMember(dst, t, g); err != nil {
			return err
		}
	}
	return nil
}

func encodeMember(dst []byte, t btf.Type, given member) error {
	members := membersOf(t)
	m, ok := findMember(members, given.name, 0)
	if !ok {
		return fmt.Errorf("%s has no member %q; it has %s", typeName(t), given.name, bpfspec.Enumerate(memberNames(members, 0)))
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

// encodeInt writes a value of an integer type, named t and lying under it as v.
func encodeInt(dst []byte, t btf.Type, v *btf.Int, value json.RawMessage) error {
	if v.Encoding == btf.Bool {
		switch string(bytes.TrimSpace(value)) {
		case "true":
			return putInteger(dst, big.NewInt(1), false, typeName(t))
		case "false":
			return nil
		}
		return wants("true or false for "+typeName(t), value)
	}
	n, ok := jsonint.Parse(value)
	if !ok {
		return wants("an integer for "+typeName(t), value)
	}
	return putInteger(dst, n, v.Encoding == btf.Signed, typeName(t))
}

// encodeEnum takes an enumerator's name, or an integer: enums also hold flags.
func encodeEnum(dst []byte, t *btf.Enum, value json.RawMessage) error {
	if n, ok := jsonint.Parse(value); ok {
		return putInteger(dst, n, t.Signed, typeName(t))
	}
	var names []string
	for _, v := range t.Values {
		names = append(names, v.Name)
	}
	if !isString(value) {
		return wants(fmt.Sprintf("a name or an integer for %s", typeName(t)), value)
	}
	name, err := unquote(value)
	if err != nil {
		return err
	}
	i := slices.Index(names, name)
	if i < 0 {
		return fmt.Errorf("%s has no %q; it has %s", typeName(t), name, bpfspec.Enumerate(names))
	}
	n := new(big.Int).SetUint64(t.Values[i].Value)
	if t.Signed {
		n.SetInt64(int64(t.Values[i].Value))
	}
	return putInteger(dst, n, t.Signed, typeName(t))
}

// putInteger fills dst with n in the host's byte order, or says between which
// figures n would have to lie.
func putInteger(dst []byte, n *big.Int, signed bool, name string) error {
	bits := uint(len(dst)) * 8
	span := new(big.Int).Lsh(big.NewInt(1), bits)
	lowest, highest := new(big.Int), new(big.Int).Sub(span, big.NewInt(1))
	if signed {
		highest.Rsh(highest, 1)
		lowest.Not(highest)
	}
	if n.Cmp(lowest) < 0 || n.Cmp(highest) > 0 {
		hint := ""
		if n.BitLen() > 53 { // a figure that nobody wrote like that
			hint = "; CNI runtimes round JSON numbers past 2^53, so write it as a string"
		}
		return fmt.Errorf("%v does not fit %s, which holds %v to %v%s", n, name, lowest, highest, hint)
	}
	if n.Sign() < 0 {
		n = new(big.Int).Add(n, span)
	}
	n.FillBytes(dst)
	if binary.NativeEndian.Uint16([]byte{1, 0}) == 1 {
		slices.Reverse(dst)
	}
	return nil
}

// placeError is an error about a part of a value. Where is the way there as C
// writes it, such as ".ports[2]".
type placeError struct {
	where string
	err   error
}

func (e *placeError) Error() string { return e.where + ": " + e.err.Error() }

func (e *placeError) Unwrap() error { return e.err }

// at puts a step in front of the way to the part that err is about. A nil err stays
// nil.
func at(step string, err error) error {
	if err == nil {
		return nil
	}
	if inner, ok := errors.AsType[*placeError](err); ok {
		return &placeError{step + inner.where, inner.err}
	}
	return &placeError{step, err}
}

// wants says what kind of value a type needs, and what was given.
func wants(what string, value json.RawMessage) error {
	const most = 40
	given := bytes.TrimSpace(value)
	if len(given) > most {
		given = append(bytes.Clone(given[:most]), "…"...)
	}
	return fmt.Errorf("want %s, not %s", what, given)
}

// isString reports whether a valid JSON value is a string.
func isString(value json.RawMessage) bool {
	return bytes.HasPrefix(bytes.TrimLeft(value, " \t\r\n"), []byte{'"'})
}

func unquote(value json.RawMessage) (string, error) {
	var text string
	err := json.Unmarshal(value, &text)
	return text, err
}

// elements returns the elements of a JSON array.
func elements(value json.RawMessage) ([]json.RawMessage, error) {
	var list []json.RawMessage
	if err := json.Unmarshal(value, &list); err != nil || list == nil {
		return nil, wants("a list", value)
	}
	return list, nil
}

// member is a name and value of a JSON object.
type member struct {
	name  string
	value json.RawMessage
}

// members returns those of a JSON object in their order. A name that stands twice
// is an error.
func members(value json.RawMessage) ([]member, error) {
	decoder := json.NewDecoder(bytes.NewReader(value))
	if open, err := decoder.Token(); err != nil || open != json.Delim('{') {
		return nil, wants("an object", value)
	}
	var list []member
	seen := make(map[string]bool)
	for decoder.More() {
		token, err := decoder.Token()
		if err != nil {
			return nil, err
		}
		m := member{name: token.(string)} // a JSON object's names are strings
		if err := decoder.Decode(&m.value); err != nil {
			return nil, err
		}
		if seen[m.name] {
			return nil, fmt.Errorf("member %q is given twice", m.name)
		}
		seen[m.name] = true
		list = append(list, m)
	}
	return list, nil
}
