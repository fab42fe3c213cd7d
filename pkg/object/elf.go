// SPDX-License-Identifier: Apache-2.0

package object

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// Limits on what an object may make its readers allocate. debug/elf and
// cilium/ebpf trust a file's tables: they copy a name for every symbol and struct
// member that points at it, allocate what .bss asks for, and append a subprogram
// to each program that calls it. Real objects stay far below every one of these.
const (
	maxSections     = 1024
	maxSymbols      = 1 << 16
	maxNames        = 256 << 20 // bytes of all names, if each were the longest
	maxTypes        = 2 << 20   // bytes of the BTF type section; readers recurse over types
	maxInstructions = 1 << 20   // in all sections; BPF_COMPLEXITY_LIMIT_INSNS of linux/bpf_verifier.h
	maxFlattened    = 1 << 22   // instructions, if every function were appended to every other
)

// checkELF returns nil for a 64-bit BPF ELF object in this machine's byte order
// whose sections, symbols and type names lie within it and within the limits
// above.
func checkELF(content []byte) error {
	img := image{content: content}
	for _, check := range []func() error{img.readHeader, img.readSections, img.readSymbols, img.checkSymbols, img.checkCode, img.checkTypes} {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

// readHeader refuses what is not a relocatable 64-bit BPF ELF file in this
// machine's byte order.
func (img *image) readHeader() error {
	content := img.content
	switch {
	case len(content) > MaxSize:
		return fmt.Errorf("%d bytes; at most %d are allowed", len(content), MaxSize)
	case !bytes.HasPrefix(content, []byte(elf.ELFMAG)):
		return fmt.Errorf("not an ELF file: it begins with %q", content[:min(len(content), 4)])
	case len(content) < binary.Size(elf.Header64{}):
		return fmt.Errorf("truncated: its %d bytes do not hold an ELF header", len(content))
	}
	if class := elf.Class(content[elf.EI_CLASS]); class != elf.ELFCLASS64 {
		return fmt.Errorf("an ELF file of %v; BPF objects are 64-bit (%v)", class, elf.ELFCLASS64)
	}
	if data := elf.Data(content[elf.EI_DATA]); data != nativeData() {
		return fmt.Errorf("of the wrong byte order: %v, and this machine is %v; compile it with -target bpf on a machine like this one", data, nativeData())
	}
	if _, err := binary.Decode(content, binary.NativeEndian, &img.header); err != nil {
		return err
	}
	if machine := elf.Machine(img.header.Machine); machine != elf.EM_BPF {
		return fmt.Errorf("an ELF file for %v, not for BPF; compile it with clang -target bpf", machine)
	}
	if kind := elf.Type(img.header.Type); kind != elf.ET_REL {
		return fmt.Errorf("an ELF file of type %v; a BPF object is relocatable (%v)", kind, elf.ET_REL)
	}
	return nil
}

func nativeData() elf.Data {
	if binary.NativeEndian.Uint16([]byte{1, 0}) == 1 {
		return elf.ELFDATA2LSB
	}
	return elf.ELFDATA2MSB
}

// image is an ELF file whose section and symbol tables lie within it.
type image struct {
	content  []byte
	header   elf.Header64
	sections []elf.Section64
	symbols  []elf.Sym64
	names    []byte // the section names' string table
}

func (img *image) readSections() error {
	header := &img.header
	entry := uint64(binary.Size(elf.Section64{}))
	switch {
	case header.Shnum == 0 || header.Shnum > maxSections:
		return fmt.Errorf("a section table of %d entries; 1 to %d are allowed", header.Shnum, maxSections)
	case uint64(header.Shentsize) != entry:
		return fmt.Errorf("section table entries of %d bytes; ELF64 has %d", header.Shentsize, entry)
	case !within(header.Shoff, uint64(header.Shnum)*entry, len(img.content)):
		return fmt.Errorf("truncated: its section table lies at byte %d, and the file has %d", header.Shoff, len(img.content))
	case header.Shstrndx >= header.Shnum:
		return errors.New("broken: the section names' section is missing")
	}
	img.sections = make([]elf.Section64, header.Shnum)
	if _, err := binary.Decode(img.content[header.Shoff:], binary.NativeEndian, img.sections); err != nil {
		return err
	}
	if err := img.checkExtents(); err != nil {
		return err
	}
	img.names = img.data(img.sections[header.Shstrndx])
	return checkNames("sections", len(img.sections), img.names)
}

// checkExtents sees to it that sections lie in the file, that they do not overlap
// so much that reading all of them would read more than there is, and that those
// without content stay small.
func (img *image) checkExtents() error {
	var inFile, empty uint64
	for i, s := range img.sections {
		switch kind := elf.SectionType(s.Type); {
		case elf.SectionFlag(s.Flags)&elf.SHF_COMPRESSED != 0:
			return fmt.Errorf("section %d is compressed; loaders of BPF do not read that", i)
		case kind == elf.SHT_NULL:
			continue
		case kind == elf.SHT_NOBITS:
			if s.Size > MaxSize {
				return fmt.Errorf("section %d (.bss or the like) asks for %d bytes; at most %d are allowed", i, s.Size, MaxSize)
			}
			empty += s.Size
		case !within(s.Off, s.Size, len(img.content)):
			return fmt.Errorf("truncated: section %d ends past the file's %d bytes", i, len(img.content))
		default:
			inFile += s.Size
		}
	}
	if empty > MaxSize {
		return fmt.Errorf("sections without content (.bss and the like) ask for %d bytes; at most %d are allowed", empty, MaxSize)
	}
	if inFile > uint64(len(img.content)) {
		return errors.New("broken: its sections overlap")
	}
	return nil
}

// data returns the content of a section, none for one that has none in the file.
func (img *image) data(s elf.Section64) []byte {
	switch elf.SectionType(s.Type) {
	case elf.SHT_NULL, elf.SHT_NOBITS:
		return nil
	}
	return img.content[s.Off : s.Off+s.Size]
}

// section returns the first section of a name; ok is false where there is none.
func (img *image) section(name string) (s elf.Section64, ok bool) {
	for _, s := range img.sections {
		if uint64(s.Name) > uint64(len(img.names)) {
			continue
		}
		if found, _, _ := bytes.Cut(img.names[s.Name:], []byte{0}); string(found) == name {
			return s, true
		}
	}
	return elf.Section64{}, false
}

// checkNames bounds the memory that count copies of a string table's longest
// string would take.
func checkNames(what string, count int, table []byte) error {
	longest := 0
	for name := range bytes.SplitSeq(table, []byte{0}) {
		longest = max(longest, len(name))
	}
	if count*longest > maxNames {
		return fmt.Errorf("the names of its %d %s are too long: up to %d bytes each", count, what, longest)
	}
	return nil
}

// within reports whether size bytes from offset on lie in length bytes.
func within(offset, size uint64, length int) bool {
	return offset <= uint64(length) && size <= uint64(length)-offset && size <= math.MaxUint32
}

// readSymbols reads the symbol table, at most one of which an object has.
func (img *image) readSymbols() error {
	for _, table := range img.sections {
		if elf.SectionType(table.Type) != elf.SHT_SYMTAB {
			continue
		}
		if img.symbols != nil {
			return errors.New("broken: it has two symbol tables")
		}
		count := table.Size / elf.Sym64Size
		if count > maxSymbols {
			return fmt.Errorf("%d symbols; at most %d are allowed", count, maxSymbols)
		}
		if uint64(table.Link) >= uint64(len(img.sections)) {
			return errors.New("broken: the symbols' names are missing")
		}
		if err := checkNames("symbols", int(count), img.data(img.sections[table.Link])); err != nil {
			return err
		}
		img.symbols = make([]elf.Sym64, count)
		if _, err := binary.Decode(img.data(table), binary.NativeEndian, img.symbols); err != nil {
			return fmt.Errorf("symbol table: %w", err)
		}
	}
	return nil
}

// checkSymbols sees to it that every symbol lies in its section and that the
// symbols of a section do not overlap: readers copy what each of them spans.
func (img *image) checkSymbols() error {
	type place struct {
		section uint16
		value   uint64
	}
	spans := make(map[place]uint64)
	for i, sym := range img.symbols {
		if sym.Shndx == uint16(elf.SHN_UNDEF) || int(sym.Shndx) >= len(img.sections) {
			continue
		}
		size := img.sections[sym.Shndx].Size
		if sym.Value > size || sym.Size > size-sym.Value {
			return fmt.Errorf("broken: symbol %d lies outside of section %d", i, sym.Shndx)
		}
		p := place{sym.Shndx, sym.Value}
		spans[p] = max(spans[p], sym.Size)
	}
	sums := make([]uint64, len(img.sections))
	for p, size := range spans {
		if sums[p.section] += size; sums[p.section] > img.sections[p.section].Size {
			return fmt.Errorf("broken: symbols of section %d overlap", p.section)
		}
	}
	return nil
}

// checkCode bounds what the functions come to once each program has got the
// subprograms that it calls.
func (img *image) checkCode() error {
	const instruction = 8 // sizeof(struct bpf_insn)
	var instructions, functions uint64
	executable := make(map[uint16]bool)
	for i, s := range img.sections {
		if elf.SectionFlag(s.Flags)&elf.SHF_EXECINSTR != 0 {
			instructions += s.Size / instruction
			executable[uint16(i)] = true
		}
	}
	if instructions > maxInstructions {
		return fmt.Errorf("%d instructions; at most %d are allowed", instructions, maxInstructions)
	}
	for _, sym := range img.symbols {
		if executable[sym.Shndx] && sym.Size > 0 {
			functions++
		}
	}
	if functions*instructions > maxFlattened {
		return fmt.Errorf("%d functions of %d instructions in all; split the object", functions, instructions)
	}
	return nil
}

// checkTypes bounds what decoding the BTF can allocate. The header is struct
// btf_header of linux/btf.h.
func (img *image) checkTypes() error {
	s, ok := img.section(".BTF")
	if !ok {
		return nil
	}
	var header struct {
		Magic                                       uint16
		Version, Flags                              uint8
		HdrLen, TypeOff, TypeLen, StringOff, StrLen uint32
	}
	data := img.data(s)
	if _, err := binary.Decode(data, binary.NativeEndian, &header); err != nil {
		return errors.New("broken: its .BTF section holds no header")
	}
	start := uint64(header.HdrLen) + uint64(header.StringOff)
	switch {
	case header.TypeLen > maxTypes:
		return fmt.Errorf("%d bytes of BTF types; at most %d are allowed", header.TypeLen, maxTypes)
	case !within(start, uint64(header.StrLen), len(data)):
		return errors.New("truncated: its BTF strings end past the .BTF section")
	}
	references := uint64(header.TypeLen)
	if ext, ok := img.section(".BTF.ext"); ok {
		references += ext.Size
	}
	const smallest = 8 // struct btf_enum, the smallest thing that has a name
	return checkNames("types", int(references/smallest), data[start:start+uint64(header.StrLen)])
}
