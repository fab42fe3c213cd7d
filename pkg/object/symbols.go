// SPDX-License-Identifier: Apache-2.0

package object

import (
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
)

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
