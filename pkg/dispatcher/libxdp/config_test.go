// SPDX-License-Identifier: Apache-2.0

package libxdp

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/xdp-chain/xdp-chain/pkg/chain"
)

// image writes a config as C would: header, then three arrays of ten u32, then tail.
func image(header []byte, arrays [][]uint32, tail ...byte) []byte {
	data := bytes.Clone(header)
	for _, array := range arrays {
		var ten [10]uint32
		copy(ten[:], array)
		data, _ = binary.Append(data, binary.NativeEndian, ten)
	}
	return append(data, tail...)
}

// images are one chain in the three forms.
var images = []struct {
	name   string
	data   []byte
	config Config
}{
	{
		"version 1",
		image([]byte{2, 0, 0, 0}, [][]uint32{{1<<31 | 1<<2, 1<<31 | 1<<1}, {10, 4000000000}}),
		Config{Version: chain.LibxdpV1, Slots: []SlotConfig{
			{Priority: 10, ProceedOn: chain.DefaultProceedOn},
			{Priority: 4000000000, ProceedOn: chain.ActionSetOf(chain.Drop, chain.DispatcherReturn)},
		}},
	},
	{
		"version 2",
		image([]byte{236, 2, 2, 0}, [][]uint32{{1<<31 | 1<<2, 1 << 4}, {0, 50}, {unix.BPF_F_XDP_HAS_FRAGS}}),
		Config{Version: chain.LibxdpV2, Slots: []SlotConfig{
			{ProceedOn: chain.DefaultProceedOn, Frags: true},
			{Priority: 50, ProceedOn: chain.ActionSetOf(chain.Redirect)},
		}},
	},
	{
		"version 2, full",
		image([]byte{236, 2, 10, 1}, [][]uint32{{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}, {11, 12, 13, 14, 15, 16, 17, 18, 19, 20}, {32, 32, 32, 32, 32, 32, 32, 32, 32, 32}}),
		Config{Version: chain.LibxdpV2, Frags: true, Slots: []SlotConfig{
			{11, 1, true},
			{12, 2, true},
			{13, 3, true},
			{14, 4, true},
			{15, 5, true},
			{16, 6, true},
			{17, 7, true},
			{18, 8, true},
			{19, 9, true},
			{20, 10, true},
		}},
	},
	{
		"version 3",
		image([]byte{236, 3, 1, 1}, [][]uint32{{4}, {7}, {unix.BPF_F_XDP_HAS_FRAGS}}, 1, 0, 0, 0),
		Config{Version: chain.LibxdpV3, Frags: true, Devbound: true, Slots: []SlotConfig{
			{Priority: 7, ProceedOn: chain.ActionSetOf(chain.Pass), Frags: true},
		}},
	},
}

func TestConfig(t *testing.T) {
	for _, tt := range images {
		t.Run(tt.name, func(t *testing.T) {
			version := versionOf(tt.data)
			if version == chain.LibxdpVersionAuto {
				version = chain.LibxdpV1 // which says so elsewhere
			}
			got, err := decode(version, tt.data)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(&tt.config, got); diff != "" {
				t.Errorf("read (-want +got):\n%s", diff)
			}
			if version == chain.LibxdpV1 {
				return
			}
			if diff := cmp.Diff(tt.data, tt.config.encode()); diff != "" {
				t.Errorf("written (-want +got):\n%s", diff)
			}
		})
	}
}

func TestBadConfig(t *testing.T) {
	for _, tt := range []struct {
		name    string
		version chain.LibxdpVersion
		data    []byte
		want    error
	}{
		{"a version to come", 4, make([]byte, 132), ErrVersion},
		{"version 0", 0, make([]byte, 124), ErrVersion},
		{"version 1, too short", chain.LibxdpV1, make([]byte, 80), ErrNotDispatcher},
		{"version 2, too long", chain.LibxdpV2, make([]byte, 128), ErrNotDispatcher},
		{"version 3, too short", chain.LibxdpV3, make([]byte, 125), ErrNotDispatcher},
		{"nothing", chain.LibxdpV2, nil, ErrNotDispatcher},
		{"11 slots", chain.LibxdpV2, image([]byte{236, 2, 11, 0}, make([][]uint32, 3)), ErrNotDispatcher},
		{"11 slots in version 1", chain.LibxdpV1, image([]byte{11, 0, 0, 0}, make([][]uint32, 2)), ErrNotDispatcher},
	} {
		if c, err := decode(tt.version, tt.data); !errors.Is(err, tt.want) {
			t.Errorf("%s: %+v, %v", tt.name, c, err)
		}
	}
}

// Whatever the bytes, decoding ends in an error or in a config that can be written
// and read again.
func FuzzDecode(f *testing.F) {
	for _, tt := range images {
		f.Add(uint8(tt.config.Version), tt.data)
	}
	f.Fuzz(func(t *testing.T, version uint8, data []byte) {
		c, err := decode(chain.LibxdpVersion(version), data)
		if err != nil {
			if !errors.Is(err, ErrVersion) && !errors.Is(err, ErrNotDispatcher) {
				t.Errorf("an error of another kind: %v", err)
			}
			return
		}
		if len(c.Slots) > MaxMembers {
			t.Fatalf("%d slots", len(c.Slots))
		}
		if c.Version == chain.LibxdpV1 {
			return
		}
		again, err := decode(c.Version, c.encode())
		if diff := cmp.Diff(c, again); diff != "" || err != nil {
			t.Errorf("read again: %v (-want +got):\n%s", err, diff)
		}
	})
}
