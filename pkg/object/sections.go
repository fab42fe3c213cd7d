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

// image is an ELF file whose section and symbol tables lie within it.
type image struct {
	content  []byte
	sections []elf.Section64
	symbols  []elf.Sym64
	names    []byte // the section names' string table
}

func (img *image) readSections(header *elf.Header64) error {
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
	names := img.sections[header.Shstrndx]
	img.names = img.data(names)
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
