// SPDX-License-Identifier: Apache-2.0

package object

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// raw makes a map of JSON values of a JSON object.
func raw(text string) map[string]json.RawMessage {
	values := make(map[string]json.RawMessage)
	if err := json.Unmarshal([]byte(text), &values); err != nil {
		panic(err)
	}
	return values
}

// native is the byte order of integers, which is the machine's.
var native = binary.NativeEndian

func u16s(values ...uint16) (b []byte) {
	for _, v := range values {
		b = native.AppendUint16(b, v)
	}
	return b
}

func u32s(values ...uint32) (b []byte) {
	for _, v := range values {
		b = native.AppendUint32(b, v)
	}
	return b
}

func u64s(values ...uint64) (b []byte) {
	for _, v := range values {
		b = native.AppendUint64(b, v)
	}
	return b
}

func pad(b []byte, size int) []byte { return append(b, make([]byte, size-len(b))...) }

func TestSetGlobals(t *testing.T) {
	mapped := append(make([]byte, 10), 0xff, 0xff, 10, 0, 0, 1)
	v6 := append([]byte{0x20, 1, 0xd, 0xb8}, pad(nil, 12)...)
	v6[15] = 1
	tests := []struct {
		name, value string
		want        []byte
	}{
		{"u8", `255`, []byte{255}},
		{"u8", `"0xfF"`, []byte{255}},
		{"u16", `65535`, u16s(65535)},
		{"u32", ` 4294967295 `, u32s(1<<32 - 1)},
		{"u64", `18446744073709551615`, u64s(1<<64 - 1)},
		{"u64", `9007199254740993`, u64s(1<<53 + 1)},
		{"u64", `"18446744073709551615"`, u64s(1<<64 - 1)},
		{"u64", `"0xdeadbeefcafebabe"`, u64s(0xdeadbeefcafebabe)},
		{"s8", `-128`, []byte{0x80}},
		{"s8", `127`, []byte{0x7f}},
		{"s16", `-1`, u16s(0xffff)},
		{"s32", `-2147483648`, u32s(1 << 31)},
		{"s64", `-9223372036854775808`, u64s(1 << 63)},
		{"s64", `"-0x1"`, u64s(1<<64 - 1)},
		{"flag", `true`, []byte{1}},
		{"flag", `false`, []byte{0}},
		{"letter", `65`, []byte("A")},
		{"color", `"GREEN"`, u32s(7)},
		{"color", `1000000`, u32s(1000000)},
		{"shift", `"BELOW"`, u32s(1<<32 - 3)},
		{"shift", `-3`, u32s(1<<32 - 3)},
		{"name", `"eth0"`, pad([]byte("eth0"), 8)},
		{"name", `""`, pad(nil, 8)},
		{"name", `"1234567"`, []byte("1234567\x00")},
		{"name", `"\u00e9"`, pad([]byte("é"), 8)},
		{"name", `[65,0,0,0,0,0,0,66]`, []byte("A\x00\x00\x00\x00\x00\x00B")},
		{"words", `["ab", "c"]`, append(pad([]byte("ab"), 8), pad([]byte("c"), 8)...)},
		{"ports", `[80, 443, "0x1f90"]`, u16s(80, 443, 8080)},
		{"ip", `"10.0.0.1"`, []byte{10, 0, 0, 1}},
		{"ip", `[10, 0, 0, 1]`, []byte{10, 0, 0, 1}},
		{"ip6", `"2001:db8::1"`, v6},
		{"ip6", `"::ffff:10.0.0.1"`, mapped},
		{"ip6", `"10.0.0.1"`, mapped},
		{"mac", `"02:00:00:00:00:01"`, []byte{2, 0, 0, 0, 0, 1}},
		{"be32", `"10.0.0.1"`, []byte{10, 0, 0, 1}},
		{"be32", `10`, u32s(10)},
		{"be128", `"2001:db8::1"`, v6},
		{"in6", `"2001:db8::1"`, v6},
		{"in6", `{"in6_u": {"u6_addr8": "2001:db8::1"}}`, v6},
		{"prefix", `"2001:db8::/32"`, append(u32s(32), append(v6[:15:15], 0)...)},
		{"prefix", `"10.0.0.1"`, append(u32s(128), mapped...)},
		{"prefix", `{"prefixlen": 8}`, pad(u32s(8), 20)},
		{
			"endpoints", `[{"address": "10.0.0.1", "port": 80, "up": true, "weight": -1, "id": {"parts": [1,2,3,4,5,6,7,8]}}, {}]`,
			pad(append(append([]byte{10, 0, 0, 1}, u16s(80)...), 1, 0xff, 1, 2, 3, 4, 5, 6, 7, 8), 32),
		},
		{"verdict", `1`, u32s(1)},
		{"limit", `5`, u32s(5)},
		{"rate", `5`, u64s(5)},
		{"hits", `5`, u32s(5)},
	}
	for _, test := range tests {
		t.Run(test.name+"="+test.value, func(t *testing.T) {
			p := program(t, "globals.o", "globals")
			if err := p.SetGlobals(map[string]json.RawMessage{test.name: json.RawMessage(test.value)}); err != nil {
				t.Fatal(err)
			}
			v := p.Spec.Variables[test.name]
			if diff := cmp.Diff(test.want, v.Value); diff != "" {
				t.Errorf("variable (-want +got):\n%s", diff)
			}
			section := p.Spec.Maps[v.SectionName].Contents[0].Value.([]byte)
			if got := section[v.Offset:][:len(test.want)]; !bytes.Equal(got, test.want) {
				t.Errorf("%s has % x; want % x", v.SectionName, got, test.want)
			}
		})
	}
}

func TestSetGlobals128Bits(t *testing.T) {
	p := program(t, "globals.o", "globals")
	if err := p.SetGlobals(raw(`{"u128": "0x0102030405060708090a0b0c0d0e0f10"}`)); err != nil {
		t.Fatal(err)
	}
	want := make([]byte, 16)
	for i := range want {
		want[i] = byte(i + 1)
		if native.Uint16([]byte{1, 0}) == 1 {
			want[i] = byte(16 - i)
		}
	}
	if diff := cmp.Diff(want, p.Spec.Variables["u128"].Value); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestSetGlobalsRefuses(t *testing.T) {
	tests := []struct {
		name, value string
		want        []string
	}{
		{"nothing", `1`, []string{"object globals.o: global nothing", "no such variable", "limit (__u32)", "and"}},
		{"hidden", `1`, []string{"global hidden", "static"}},
		{"other", `1`, []string{`program "globals" does not use .data.other`}},
		{"u8", `256`, []string{"256 does not fit __u8, which holds 0 to 255"}},
		{"u8", `-1`, []string{"-1 does not fit __u8"}},
		{"s8", `128`, []string{"128 does not fit __s8, which holds -128 to 127"}},
		{"s8", `-129`, []string{"-129 does not fit __s8"}},
		{"u16", `65536`, []string{"0 to 65535"}},
		{"u32", `4294967296`, []string{"0 to 4294967295"}},
		{"s32", `2147483648`, []string{"-2147483648 to 2147483647"}},
		{"u64", `18446744073709552000`, []string{"18446744073709551615", "write it as a string"}},
		{"s64", `9223372036854775808`, []string{"9223372036854775807"}},
		{"u32", `1.5`, []string{"want an integer for __u32, not 1.5"}},
		{"u32", `1e3`, []string{"want an integer"}},
		{"u32", `1e999999999`, []string{"want an integer"}},
		{"u32", `true`, []string{"want an integer for __u32, not true"}},
		{"u32", `null`, []string{"want an integer for __u32, not null"}},
		{"u32", `"010"`, []string{"want an integer"}},
		{"u32", `"ten"`, []string{`want an integer for __u32, not "ten"`}},
		{"u32", `"1_0"`, []string{"want an integer"}},
		{"u32", `"10.0.0.1"`, []string{"want an integer"}},
		{"u32", `{`, []string{"is not JSON"}},
		{"u32", `[1]`, []string{"want an integer"}},
		{"flag", `1`, []string{"want true or false for _Bool, not 1"}},
		{"flag", `"true"`, []string{"want true or false"}},
		{"color", `"PINK"`, []string{`enum color has no "PINK"; it has RED, GREEN, BLUE`}},
		{"color", `-1`, []string{"does not fit enum color"}},
		{"color", `true`, []string{"want a name or an integer for enum color"}},
		{"name", `"12345678"`, []string{"8 bytes", "char[8] holds 7 and the NUL"}},
		{"name", `"a\u0000b"`, []string{"NUL at byte 1"}},
		{"name", `5`, []string{"want a string or a list of 8 elements for char[8], not 5"}},
		{"words", `["ab", "12345678"]`, []string{"global words[1]: ", "8 bytes"}},
		{"words", `["ab"]`, []string{"wants 2 elements, not 1"}},
		{"ports", `[80, 443]`, []string{"__u16[3] wants 3 elements, not 2"}},
		{"ports", `[80, 443, 70000]`, []string{"global ports[2]: 70000 does not fit __u16"}},
		{"ports", `"80"`, []string{"want a list of 3 elements"}},
		{"ip", `"2001:db8::1"`, []string{"is not an IPv4 address"}},
		{"ip", `"10.0.0.1/8"`, []string{"is not an IPv4 address"}},
		{"ip", `7`, []string{"want an IPv4 address or a list of 4 elements for __u8[4]"}},
		{"ip6", `"fe80::1%eth0"`, []string{"is not an IPv6 address"}},
		{"ip6", `7`, []string{"an IPv6 address or a list"}},
		{"mac", `"02:00:00:00:00:00:00:01"`, []string{"is not a MAC address of 6 bytes"}},
		{"mac", `7`, []string{"a MAC address or a list"}},
		{"be32", `"10"`, []string{"is not an IPv4 address"}},
		{"prefix", `"2001:db8::/129"`, []string{"is not a prefix"}},
		{"prefix", `"2001:db8::1/32"`, []string{"bits set past its length; write 2001:db8::/32"}},
		{"endpoints", `[{"port": 70000}, {}]`, []string{"global endpoints[0].port: 70000"}},
		{"endpoints", `[{"speed": 1}, {}]`, []string{`struct endpoint has no member "speed"; it has address, port, up, weight, id`}},
		{"endpoints", `[{"port": 1, "port": 2}, {}]`, []string{`member "port" is given twice`}},
		{"endpoints", `[{"id": {"whole": 1, "parts": [1,2,3,4,5,6,7,8]}}, {}]`, []string{"wants one member, not 2"}},
		{"endpoints", `[1, 2]`, []string{"endpoints[0]", "want an object, not 1"}},
		{"bits", `{"low": 1}`, []string{"global bits.low: bit-fields cannot be set"}},
	}
	for _, test := range tests {
		t.Run(test.name+"="+test.value, func(t *testing.T) {
			p := program(t, "globals.o", "globals")
			before := fmt.Sprint(p.Spec.Maps[".rodata"].Contents)
			err := p.SetGlobals(map[string]json.RawMessage{"s16": json.RawMessage("1"), test.name: json.RawMessage(test.value)})
			wantError(t, err, test.want...)
			if fmt.Sprint(p.Spec.Maps[".rodata"].Contents) != before {
				t.Error("it set some of the variables")
			}
		})
	}
}

func TestSetGlobalsWithoutTypes(t *testing.T) {
	err := program(t, "nobtf.o", "").SetGlobals(raw(`{"verdict": 1}`))
	wantError(t, err, "object nobtf.o: global verdict", "compile it with -g")
}

// Checking a value changes nothing, and says what setting it would.
func TestCheckGlobal(t *testing.T) {
	p := program(t, "globals.o", "globals")
	before := fmt.Sprint(p.Spec.Maps[".rodata"].Contents)
	if err := p.CheckGlobal("u8", json.RawMessage("255")); err != nil {
		t.Error(err)
	}
	wantError(t, p.CheckGlobal("u8", json.RawMessage("256")), "object globals.o: global u8: 256 does not fit __u8")
	wantError(t, p.CheckGlobal("nothing", json.RawMessage("1")), "global nothing", "no such variable")
	if fmt.Sprint(p.Spec.Maps[".rodata"].Contents) != before {
		t.Error("it set the variable")
	}
}
