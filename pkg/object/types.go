// SPDX-License-Identifier: Apache-2.0

package object

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"strings"

	"github.com/cilium/ebpf/btf"
)

// encodeAddress writes an address or a prefix, in network byte order, if t is a
// type that holds one. Otherwise done is false: the string is something else.
func encodeAddress(dst []byte, t btf.Type, value json.RawMessage) (done bool, err error) {
	size := addressSize(t)
	prefix := isPrefix(t)
	if size == 0 && !prefix {
		return false, nil
	}
	text, err := unquote(value)
	if err != nil {
		return true, err
	}
	if prefix {
		return true, encodePrefix(dst, text)
	}
	address, err := parseAddress(text, size)
	copy(dst, address)
	return true, err
}

// parseAddress returns the bytes of an address of the given size: IPv4, MAC or
// IPv6. An IPv4 address in 16 bytes is IPv4-mapped (RFC 4291, 2.5.5.2).
func parseAddress(text string, size int) ([]byte, error) {
	if size == 6 {
		mac, err := net.ParseMAC(text)
		if err != nil || len(mac) != size {
			return nil, fmt.Errorf("%q is not a MAC address of 6 bytes, such as 02:00:00:00:00:01", text)
		}
		return mac, nil
	}
	address, err := netip.ParseAddr(text)
	switch {
	case size == 4 && (err != nil || !address.Is4()):
		return nil, fmt.Errorf("%q is not an IPv4 address, such as 192.0.2.1", text)
	case err != nil || address.Zone() != "":
		return nil, fmt.Errorf("%q is not an IPv6 address, such as 2001:db8::1, nor an IPv4 address", text)
	case size == 4:
		return address.AsSlice(), nil
	}
	mapped := address.As16()
	return mapped[:], nil
}

// encodePrefix writes struct {u32 prefixlen; address}, the form of an LPM map's
// key (struct bpf_lpm_trie_key_u8 of linux/bpf.h). An address without a length is a
// prefix of full length.
func encodePrefix(dst []byte, text string) error {
	size := len(dst) - 4
	host, _, hasLength := strings.Cut(text, "/")
	address, err := parseAddress(host, size)
	if err != nil {
		return err
	}
	bits := 8 * size
	if hasLength {
		prefix, err := netip.ParsePrefix(text)
		if err != nil {
			return fmt.Errorf("%q is not a prefix: its length is a number from 0 to the address's bits", text)
		}
		if prefix != prefix.Masked() {
			return fmt.Errorf("%q has bits set past its length; write %v", text, prefix.Masked())
		}
		bits -= prefix.Addr().BitLen() - prefix.Bits()
	}
	binary.NativeEndian.PutUint32(dst, uint32(bits))
	copy(dst[4:], address)
	return nil
}

// addressSize returns the size of the address that a type holds, judged by its
// shape and its name in the kernel's headers: 4 (IPv4), 6 (MAC), 16 (IPv6), or 0 for
// a type that holds none.
func addressSize(t btf.Type) int {
	if isBE32(t) {
		return 4
	}
	switch v := btf.UnderlyingType(t).(type) {
	case *btf.Array:
		return arrayAddressSize(v)
	case *btf.Struct:
		if v.Name == "in_addr" && v.Size == 4 || v.Name == "in6_addr" && v.Size == 16 {
			return int(v.Size)
		}
	}
	return 0
}

func arrayAddressSize(t *btf.Array) int {
	size := uint64(t.Nelems)
	if isBE32(t.Type) {
		size *= 4
	} else if v, ok := btf.UnderlyingType(t.Type).(*btf.Int); !ok || v.Size != 1 || v.Encoding == btf.Bool || isChar(t.Type) {
		return 0
	}
	switch size {
	case 4, 6, 16:
		return int(size)
	}
	return 0
}

// isBE32 looks for __be32 of linux/types.h among a type's names.
func isBE32(t btf.Type) bool {
	for range 32 { // BTF may be cyclic
		typedef, ok := btf.As[*btf.Typedef](t)
		if !ok {
			return false
		}
		if typedef.Name == "__be32" {
			size, err := btf.Sizeof(typedef)
			return err == nil && size == 4
		}
		t = typedef.Type
	}
	return false
}

// isChar reports whether text of t is what C calls a string. A signed char or an
// unsigned char is a number.
func isChar(t btf.Type) bool {
	v, ok := btf.UnderlyingType(t).(*btf.Int)
	return ok && v.Name == "char" && v.Size == 1
}

// isPrefix reports whether t is a prefix: a struct of prefixlen and an address.
func isPrefix(t btf.Type) bool {
	v, ok := btf.As[*btf.Struct](t)
	return ok && isLengthAndAddress(v) && (v.Members[0].Name == "prefixlen" || v.Members[0].Name == "prefix_len")
}

// isLengthAndAddress reports whether t holds 4 bytes and an IP address, and
// nothing else.
func isLengthAndAddress(t *btf.Struct) bool {
	if len(t.Members) != 2 || t.Members[0].Offset != 0 || t.Members[1].Offset.Bytes() != 4 {
		return false
	}
	length, err := btf.Sizeof(t.Members[0].Type)
	address := addressSize(t.Members[1].Type)
	return err == nil && length == 4 && (address == 4 || address == 16) && t.Size == uint32(4+address)
}

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
