// SPDX-License-Identifier: Apache-2.0

package object

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math/big"
	"slices"

	"github.com/cilium/ebpf/btf"

	"github.com/xdp-chain/xdp-chain/internal/jsonint"
)

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
		return fmt.Errorf("%s has no %q; it has %s", typeName(t), name, enumerate(names))
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
		return fmt.Errorf("%v does not fit %s, which holds %v to %v%s", n, name, lowest, highest, roundedHint(n))
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

// roundedHint explains figures that somebody did not write like that.
func roundedHint(n *big.Int) string {
	if n.BitLen() <= 53 {
		return ""
	}
	return "; CNI runtimes round JSON numbers past 2^53, so write it as a string"
}
