// SPDX-License-Identifier: Apache-2.0

package libxdp

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"runtime"
	"strings"
	"testing"
	"unsafe"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/xdp-chain/xdp-chain/internal/testenv"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
	"github.com/xdp-chain/xdp-chain/pkg/dispatcher/internal/load"
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

//go:generate ../../../bpf/compile.sh testdata/v1.c testdata/v1.o

// What was written is read from the kernel.
func TestRead(t *testing.T) {
	testenv.NoLeaks(t)
	ten := make([]SlotConfig, MaxMembers)
	for i := range ten {
		ten[i] = SlotConfig{Priority: 100 * i, ProceedOn: chain.ActionSet(1 << i), Frags: i%2 == 0}
	}
	for _, version := range []chain.LibxdpVersion{chain.LibxdpV2, chain.LibxdpV3} {
		for _, slots := range []int{1, 2, 10} {
			t.Run(fmt.Sprintf("version %s, %d slots", version, slots), func(t *testing.T) {
				want := &Config{Version: version, Slots: ten[:slots]}
				p, err := loadDispatcher(want)
				if err != nil {
					t.Fatal(err)
				}
				defer p.Close()
				got, err := Read(p)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("config (-want +got):\n%s", diff)
				}
			})
		}
	}
}

// What libxdp's own code knows a dispatcher by, and what tracing tools find in it.
func TestDispatcherInKernel(t *testing.T) {
	info, functions := inKernel(t, chain.DefaultProceedOn)
	if maps, _ := info.MapIDs(); info.Name != "xdp_dispatcher" || len(maps) != 1 {
		t.Errorf("name %q, maps %v", info.Name, maps)
	}
	for name, linkage := range functions {
		if linkage != btf.GlobalFunc {
			t.Errorf("function %s is %s", name, linkage)
		}
	}
	if _, ok := functions[ProgramName]; !ok {
		t.Errorf("functions %v", functions)
	}
}

// Since Linux 6.8 the verifier takes functions out that it knows no packet to run.
// Whatever the masks say, no enabled slot may be among them: nothing could be put into
// its place.
func TestSlotsStay(t *testing.T) {
	for _, mask := range []chain.ActionSet{
		0, 1 << chain.Pass, 1 << chain.DispatcherReturn, chain.DefaultProceedOn, math.MaxUint32, math.MaxUint32 &^ (1 << chain.Pass),
	} {
		_, functions := inKernel(t, mask)
		for _, name := range []string{"prog0", "prog1", "prog2"} {
			if _, ok := functions[name]; !ok {
				t.Errorf("masks %#x: %s is not in %v", uint32(mask), name, functions)
			}
		}
	}
}

// inKernel loads a dispatcher of three slots with the same mask, and reads what the
// kernel knows of its functions.
func inKernel(t *testing.T, mask chain.ActionSet) (*ebpf.ProgramInfo, map[string]btf.FuncLinkage) {
	t.Helper()
	p, err := loadDispatcher(&Config{Version: chain.LibxdpV2, Slots: []SlotConfig{{ProceedOn: mask}, {ProceedOn: mask}, {ProceedOn: mask}}})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	info, err := p.Info()
	if err != nil {
		t.Fatal(err)
	}
	infos, err := info.FuncInfos()
	if err != nil {
		t.Fatal(err)
	}
	functions := make(map[string]btf.FuncLinkage)
	for _, f := range infos {
		functions[f.Func.Name] = f.Func.Linkage
	}
	return info, functions
}

// A dispatcher whose slots are empty lets everything through: better than to drop it,
// should the links ever go.
func TestEmptySlots(t *testing.T) {
	slots := make([]SlotConfig, 3)
	for i := range slots {
		slots[i].ProceedOn = chain.ActionSetOf(chain.DispatcherReturn)
	}
	p, err := loadDispatcher(&Config{Version: chain.LibxdpV2, Slots: slots})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	verdict, err := p.Run(&ebpf.RunOptions{Data: make([]byte, 64)})
	if err != nil || verdict != uint32(chain.Pass) {
		t.Errorf("verdict %d, %v", verdict, err)
	}
}

func TestReadVersion1(t *testing.T) {
	testenv.NoLeaks(t)
	spec, err := ebpf.LoadCollectionSpec("testdata/v1.o")
	if err != nil {
		t.Fatal(err)
	}
	p := loadWithAllTypes(t, spec, spec.Programs[ProgramName])
	defer p.Close()
	got, err := Read(p)
	if err != nil {
		t.Fatal(err)
	}
	want := &Config{Version: chain.LibxdpV1, Slots: []SlotConfig{
		{Priority: 10, ProceedOn: chain.DefaultProceedOn},
		{Priority: 20, ProceedOn: chain.ActionSetOf(chain.Drop, chain.DispatcherReturn)},
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("config (-want +got):\n%s", diff)
	}

	// cilium/ebpf loads no more types than the functions' own, so the version is missing.
	c, err := ebpf.NewCollection(&ebpf.CollectionSpec{Maps: spec.Maps, Programs: spec.Programs})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if got, err := Read(c.Programs[ProgramName]); !errors.Is(err, ErrNotDispatcher) {
		t.Errorf("without a version: %+v, %v", got, err)
	}
}

// loadWithAllTypes loads a program of one function with all types of its object, as
// libbpf does.
func loadWithAllTypes(t *testing.T, spec *ebpf.CollectionSpec, p *ebpf.ProgramSpec) *ebpf.Program {
	t.Helper()
	maps, err := ebpf.NewCollection(&ebpf.CollectionSpec{Maps: spec.Maps})
	if err != nil {
		t.Fatal(err)
	}
	defer maps.Close()
	builder, err := btf.NewBuilder(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	for typ, err := range spec.Types.All() {
		if err != nil {
			t.Fatal(err)
		}
		if _, err := builder.Add(typ); err != nil {
			t.Fatal(err)
		}
	}
	function, err := builder.Add(btf.FuncMetadata(&p.Instructions[0]))
	if err != nil {
		t.Fatal(err)
	}
	types, err := btf.NewHandle(builder)
	if err != nil {
		t.Fatal(err)
	}
	defer types.Close()
	p = p.Copy()
	if err := load.Associate(p.Instructions, maps.Maps); err != nil {
		t.Fatal(err)
	}
	var insns bytes.Buffer
	if err := p.Instructions.Marshal(&insns, p.ByteOrder); err != nil {
		t.Fatal(err)
	}
	fd, err := progLoad(insns.Bytes(), p.Name, uint32(types.FD()), [2]uint32{0, uint32(function)})
	if err != nil {
		t.Fatal(err)
	}
	loaded, err := ebpf.NewProgramFromFD(fd)
	if err != nil {
		t.Fatal(err)
	}
	return loaded
}

// progLoad is BPF_PROG_LOAD of an XDP program. The struct is the beginning of union
// bpf_attr's in linux/bpf.h, funcInfo is one struct bpf_func_info.
func progLoad(insns []byte, name string, btfFD uint32, funcInfo [2]uint32) (int, error) {
	var pinner runtime.Pinner
	defer pinner.Unpin()
	pointer := func(data []byte) uint64 {
		pinner.Pin(&data[0])
		return uint64(uintptr(unsafe.Pointer(&data[0])))
	}
	info, err := binary.Append(nil, binary.NativeEndian, funcInfo)
	if err != nil {
		return -1, err
	}
	attr := struct {
		progType, insnCnt      uint32
		insns, license         uint64
		logLevel, logSize      uint32
		logBuf                 uint64
		kernVersion, progFlags uint32
		progName               [16]byte
		ifindex, attachType    uint32
		btfFD, funcInfoRecSize uint32
		funcInfo               uint64
		funcInfoCnt, lineInfo  uint32
	}{
		progType: uint32(ebpf.XDP), insnCnt: uint32(len(insns) / asm.InstructionSize),
		insns: pointer(insns), license: pointer([]byte("GPL\x00")),
		btfFD: btfFD, funcInfo: pointer(info), funcInfoRecSize: uint32(len(info)), funcInfoCnt: 1,
	}
	copy(attr.progName[:15], name)
	fd, _, errno := unix.Syscall(unix.SYS_BPF, unix.BPF_PROG_LOAD, uintptr(unsafe.Pointer(&attr)), unsafe.Sizeof(attr))
	if errno != 0 {
		return -1, errno
	}
	return int(fd), nil
}

// What libxdp does not take for a dispatcher is none for us either.
func TestNotDispatcher(t *testing.T) {
	readOnly := func() *ebpf.MapSpec {
		return &ebpf.MapSpec{Name: "conf", Type: ebpf.Array, KeySize: 4, ValueSize: 124, MaxEntries: 1, Flags: unix.BPF_F_RDONLY_PROG}
	}
	two := readOnly()
	two.MaxEntries = 2
	writable := readOnly()
	writable.Flags = 0
	future := readOnly()
	future.Contents = []ebpf.MapKV{{Key: uint32(0), Value: image([]byte{236, 4, 1, 0}, make([][]uint32, 3))}}
	for _, tt := range []struct {
		name    string
		program string
		maps    []*ebpf.MapSpec
		btf     bool
		want    error
		says    string
	}{
		{"another name", "xdp_dispatch", []*ebpf.MapSpec{readOnly()}, true, ErrNotDispatcher, "xdp_dispatch"},
		{"no BTF", ProgramName, []*ebpf.MapSpec{readOnly()}, false, ErrNotDispatcher, "BTF"},
		{"no map", ProgramName, nil, true, ErrNotDispatcher, "0 maps"},
		{"two maps", ProgramName, []*ebpf.MapSpec{readOnly(), readOnly()}, true, ErrNotDispatcher, "2 maps"},
		{"two entries", ProgramName, []*ebpf.MapSpec{two}, true, ErrNotDispatcher, "one entry"},
		{"a map to write", ProgramName, []*ebpf.MapSpec{writable}, true, ErrNotDispatcher, "cannot write"},
		{"no version", ProgramName, []*ebpf.MapSpec{readOnly()}, true, ErrNotDispatcher, "version"},
		{"a version to come", ProgramName, []*ebpf.MapSpec{future}, true, ErrVersion, "4"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			config, err := Read(using(t, tt.program, tt.btf, tt.maps...))
			if !errors.Is(err, tt.want) || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("%+v, %v; want %v that says %q", config, err, tt.want, tt.says)
			}
		})
	}
}

// using loads a program that does nothing but use maps.
func using(t *testing.T, name string, withBTF bool, maps ...*ebpf.MapSpec) *ebpf.Program {
	t.Helper()
	var insns asm.Instructions
	for _, spec := range maps {
		m, err := ebpf.NewMap(spec)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { m.Close() })
		insns = append(insns, asm.LoadMapPtr(asm.R1, m.FD()))
	}
	insns = append(insns, asm.Mov.Imm(asm.R0, 2), asm.Return())
	if withBTF {
		insns[0] = btf.WithFuncMetadata(insns[0], load.XDPFunc(name))
	}
	p, err := ebpf.NewProgram(&ebpf.ProgramSpec{Name: name, Type: ebpf.XDP, License: "GPL", Instructions: insns})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

func TestFunctionName(t *testing.T) {
	for _, tt := range []struct {
		name string
		btf  bool
		want string
	}{
		{"short", true, "short"},
		{"a_name_of_more_than_15_bytes", true, "a_name_of_more_than_15_bytes"},
		{"a_name_of_more_than_15_bytes", false, "a_name_of_more_"},
	} {
		if got, err := FunctionName(using(t, tt.name, tt.btf)); err != nil || got != tt.want {
			t.Errorf("%s, with BTF %t: %q, %v; want %q", tt.name, tt.btf, got, err, tt.want)
		}
	}
}
