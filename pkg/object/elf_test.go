// SPDX-License-Identifier: Apache-2.0

package object

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"slices"
	"strings"
	"testing"
	"unsafe"
)

// edit returns a copy of an object of testdata after a change to its bytes.
func edit(t testing.TB, name string, change func(content []byte)) []byte {
	t.Helper()
	edited := bytes.Clone(content(t, name))
	change(edited)
	return edited
}

// The offsets of fields in the ELF header and in an entry of the section and the
// symbol table.
const (
	typeOffset    = unsafe.Offsetof(elf.Header64{}.Type)
	machineOffset = unsafe.Offsetof(elf.Header64{}.Machine)
	shoffOffset   = unsafe.Offsetof(elf.Header64{}.Shoff)
	shnumOffset   = unsafe.Offsetof(elf.Header64{}.Shnum)

	flagsOffset = unsafe.Offsetof(elf.Section64{}.Flags)
	offOffset   = unsafe.Offsetof(elf.Section64{}.Off)
	sizeOffset  = unsafe.Offsetof(elf.Section64{}.Size)
	linkOffset  = unsafe.Offsetof(elf.Section64{}.Link)

	valueOffset  = unsafe.Offsetof(elf.Sym64{}.Value)
	lengthOffset = unsafe.Offsetof(elf.Sym64{}.Size)
)

// section returns the entry of a section in an object's section table.
func section(t testing.TB, content []byte, name string) []byte {
	t.Helper()
	f, err := elf.NewFile(bytes.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(f.Sections, func(s *elf.Section) bool { return s.Name == name })
	if i < 0 {
		t.Fatalf("no section %s", name)
	}
	return content[native.Uint64(content[shoffOffset:])+uint64(i)*uint64(binary.Size(elf.Section64{})):]
}

// symbol returns the entry of a symbol in an object's symbol table.
func symbol(t testing.TB, content []byte, name string) []byte {
	t.Helper()
	f, err := elf.NewFile(bytes.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	symbols, err := f.Symbols()
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(symbols, func(s elf.Symbol) bool { return s.Name == name })
	if i < 0 {
		t.Fatalf("no symbol %s", name)
	}
	return content[f.SectionByType(elf.SHT_SYMTAB).Offset+uint64(i+1)*elf.Sym64Size:] // Symbols leaves out the first
}

func TestNewRefuses(t *testing.T) {
	header := func(offset uintptr, value byte) []byte {
		return edit(t, "plain.o", func(content []byte) { content[offset] = value })
	}
	inSection := func(name string, offset uintptr, value uint64) []byte {
		return edit(t, "globals.o", func(content []byte) { native.PutUint64(section(t, content, name)[offset:], value) })
	}
	inSymbol := func(name string, offset uintptr, value uint64) []byte {
		return edit(t, "globals.o", func(content []byte) { native.PutUint64(symbol(t, content, name)[offset:], value) })
	}
	swapped := byte(elf.ELFDATA2LSB)
	if nativeData() == elf.ELFDATA2LSB {
		swapped = byte(elf.ELFDATA2MSB)
	}
	plain := content(t, "plain.o")
	tests := []struct {
		name    string
		content []byte
		want    string
	}{
		{"empty", nil, "not an ELF file"},
		{"script", []byte("#!/bin/sh\n"), `not an ELF file: it begins with "#!/b"`},
		{"too large", append(slices.Clone(plain), make([]byte, MaxSize)...), "at most 16777216 are allowed"},
		{"magic alone", plain[:4], "truncated"},
		{"header alone", plain[:64], "truncated"},
		{"half", plain[:len(plain)/2], "truncated"},
		{"without its last byte", plain[:len(plain)-1], "truncated"},
		{"32 bits", header(elf.EI_CLASS, byte(elf.ELFCLASS32)), "ELFCLASS32"},
		{"byte order", header(elf.EI_DATA, swapped), "wrong byte order"},
		{"machine", edit(t, "plain.o", func(c []byte) { native.PutUint16(c[machineOffset:], uint16(elf.EM_X86_64)) }), "for EM_X86_64, not for BPF"},
		{"executable", edit(t, "plain.o", func(c []byte) { native.PutUint16(c[typeOffset:], uint16(elf.ET_EXEC)) }), "ET_EXEC"},
		{"no sections", edit(t, "plain.o", func(c []byte) { native.PutUint16(c[shnumOffset:], 0) }), "section table of 0 entries"},
		{"many sections", edit(t, "plain.o", func(c []byte) { native.PutUint16(c[shnumOffset:], maxSections+1) }), "1 to 1024 are allowed"},
		{"table elsewhere", edit(t, "plain.o", func(c []byte) { native.PutUint64(c[shoffOffset:], 1<<63) }), "truncated"},
		{"section elsewhere", inSection("xdp", offOffset, 1<<63), "truncated"},
		{"large section", inSection("xdp", sizeOffset, 1<<63), "truncated"},
		{"overlapping sections", inSection("xdp", sizeOffset, 9000), "overlap"},
		{"compressed section", inSection(".rodata", flagsOffset, uint64(elf.SHF_COMPRESSED)), "compressed"},
		{"large .bss", inSection(".bss", sizeOffset, 1<<40), "at most 16777216"},
		{"symbol outside", inSymbol("limit", valueOffset, 1<<64-1), "lies outside"},
		{"large symbol", inSymbol("limit", lengthOffset, 1<<64-1), "lies outside"},
		{"overlapping symbols", edit(t, "globals.o", func(c []byte) {
			native.PutUint64(symbol(t, c, "hits")[valueOffset:], 4)
			native.PutUint64(symbol(t, c, "hits")[lengthOffset:], 4096)
		}), "overlap"},
		{"no symbol names", edit(t, "globals.o", func(c []byte) { native.PutUint32(section(t, c, ".symtab")[linkOffset:], 99) }), "names are missing"},
		{"no BTF header", inSection(".BTF", sizeOffset, 5), "no header"},
		{"BTF strings outside", inSection(".BTF", sizeOffset, 100), "BTF strings"},
		{"broken BTF", edit(t, "plain.o", func(c []byte) {
			s := section(t, c, ".BTF")
			c[native.Uint64(s[offOffset:])] ^= 0xff
		}), "not a BPF object that can be read"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := New("broken.o", test.content)
			wantError(t, err, "object broken.o: ", test.want)
		})
	}
}

// TestNewBoundsNames gives many symbols one long name, which a reader copies for
// each of them.
func TestNewBoundsNames(t *testing.T) {
	names := append(append([]byte{0}, strings.Repeat("n", 8<<20)...), 0)
	symbols := make([]byte, maxSymbols*elf.Sym64Size)
	for i := range maxSymbols {
		native.PutUint32(symbols[i*elf.Sym64Size:], 1)
	}
	_, err := New("names.o", build(t, []elf.Section64{
		{Type: uint32(elf.SHT_STRTAB)},
		{Type: uint32(elf.SHT_SYMTAB), Link: 1},
	}, [][]byte{names, symbols}))
	wantError(t, err, "object names.o: the names of its 65536 symbols are too long: up to 8388608 bytes each")
}

// TestNewBoundsCode has many functions, each of which could call all the others.
func TestNewBoundsCode(t *testing.T) {
	const functions = 1000
	code := make([]byte, 8*8*functions)
	symbols := make([]byte, functions*elf.Sym64Size)
	for i := range functions {
		_, err := binary.Encode(symbols[i*elf.Sym64Size:], native, elf.Sym64{
			Info: elf.ST_INFO(elf.STB_GLOBAL, elf.STT_FUNC), Shndx: 2, Value: uint64(i * 64), Size: 64,
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	_, err := New("code.o", build(t, []elf.Section64{
		{Type: uint32(elf.SHT_STRTAB)},
		{Type: uint32(elf.SHT_PROGBITS), Flags: uint64(elf.SHF_EXECINSTR)},
		{Type: uint32(elf.SHT_SYMTAB), Link: 1},
	}, [][]byte{{0}, code, symbols}))
	wantError(t, err, "object code.o: 1000 functions of 8000 instructions")
}

// build makes a BPF object of sections and their contents; section 0 is added. All
// share the names of section 1.
func build(t *testing.T, sections []elf.Section64, contents [][]byte) []byte {
	t.Helper()
	header := elf.Header64{
		Type:      uint16(elf.ET_REL),
		Machine:   uint16(elf.EM_BPF),
		Shoff:     uint64(binary.Size(elf.Header64{})),
		Shentsize: uint16(binary.Size(elf.Section64{})),
		Shnum:     uint16(len(sections) + 1),
		Shstrndx:  1,
	}
	copy(header.Ident[:], elf.ELFMAG)
	header.Ident[elf.EI_CLASS], header.Ident[elf.EI_DATA] = byte(elf.ELFCLASS64), byte(nativeData())
	header.Ident[elf.EI_VERSION], header.Version = byte(elf.EV_CURRENT), uint32(elf.EV_CURRENT)
	off := header.Shoff + uint64(header.Shnum)*uint64(header.Shentsize)
	for i := range sections {
		sections[i].Off, sections[i].Size = off, uint64(len(contents[i]))
		off += sections[i].Size
	}
	var out bytes.Buffer
	for _, part := range []any{header, elf.Section64{}, sections, slices.Concat(contents...)} {
		if err := binary.Write(&out, native, part); err != nil {
			t.Fatal(err)
		}
	}
	return out.Bytes()
}
