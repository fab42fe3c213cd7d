// SPDX-License-Identifier: Apache-2.0

package object

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"fmt"
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
	header, err := readHeader(content)
	if err != nil {
		return err
	}
	img := image{content: content}
	if err := img.readSections(header); err != nil {
		return err
	}
	if err := img.readSymbols(); err != nil {
		return err
	}
	for _, check := range []func() error{img.checkSymbols, img.checkCode, img.checkTypes} {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

// readHeader refuses what is not a relocatable 64-bit BPF ELF file in this
// machine's byte order.
func readHeader(content []byte) (*elf.Header64, error) {
	switch {
	case len(content) > MaxSize:
		return nil, fmt.Errorf("%d bytes; at most %d are allowed", len(content), MaxSize)
	case !bytes.HasPrefix(content, []byte(elf.ELFMAG)):
		return nil, fmt.Errorf("not an ELF file: it begins with %q", content[:min(len(content), 4)])
	case len(content) < binary.Size(elf.Header64{}):
		return nil, fmt.Errorf("truncated: its %d bytes do not hold an ELF header", len(content))
	}
	if class := elf.Class(content[elf.EI_CLASS]); class != elf.ELFCLASS64 {
		return nil, fmt.Errorf("an ELF file of %v; BPF objects are 64-bit (%v)", class, elf.ELFCLASS64)
	}
	if data := elf.Data(content[elf.EI_DATA]); data != nativeData() {
		return nil, fmt.Errorf("of the wrong byte order: %v, and this machine is %v; compile it with -target bpf on a machine like this one", data, nativeData())
	}
	var header elf.Header64
	if _, err := binary.Decode(content, binary.NativeEndian, &header); err != nil {
		return nil, err
	}
	if machine := elf.Machine(header.Machine); machine != elf.EM_BPF {
		return nil, fmt.Errorf("an ELF file for %v, not for BPF; compile it with clang -target bpf", machine)
	}
	if kind := elf.Type(header.Type); kind != elf.ET_REL {
		return nil, fmt.Errorf("an ELF file of type %v; a BPF object is relocatable (%v)", kind, elf.ET_REL)
	}
	return &header, nil
}

func nativeData() elf.Data {
	if binary.NativeEndian.Uint16([]byte{1, 0}) == 1 {
		return elf.ELFDATA2LSB
	}
	return elf.ELFDATA2MSB
}
