// SPDX-License-Identifier: Apache-2.0

package node

import (
	"fmt"
	"strings"
	"time"

	"github.com/cilium/ebpf"
)

// KernelState is a loaded program as the kernel tells of it. What an older kernel does
// not tell is left out.
type KernelState struct {
	ProgramID uint32 `json:"programID"`
	Name      string `json:"name"`
	// Type is "xdp", or "extension" for a member of libxdp's dispatcher.
	Type string `json:"type"`
	// LoadedAt is when it was loaded, to the second: before it came to its interface.
	LoadedAt time.Time `json:"loadedAt,omitzero"`
	// Tag is a hash of its instructions, in hexadecimal.
	Tag           string `json:"tag"`
	GPLCompatible bool   `json:"gplCompatible"`
	BTFID         uint32 `json:"btfID,omitempty"`
	// BytesTranslated are those of its instructions as the kernel has rewritten them,
	// and BytesJited those of the machine code made of them, none without a JIT.
	BytesTranslated int    `json:"bytesTranslated,omitempty"`
	BytesJited      uint32 `json:"bytesJited,omitempty"`
	// BytesMemlock is the memory that the program takes, without its maps.
	BytesMemlock uint64 `json:"bytesMemlock,omitempty"`
	// VerifiedInstructions is how many the verifier went through, each once for every way
	// that leads over it (since Linux 5.16).
	VerifiedInstructions uint32 `json:"verifiedInstructions,omitempty"`
}

// kernelState reads about a program. The error for an id that no program has satisfies
// errors.Is(err, [fs.ErrNotExist]).
func kernelState(id uint32) (*KernelState, error) {
	p, err := ebpf.NewProgramFromID(ebpf.ProgramID(id))
	if err != nil {
		return nil, fmt.Errorf("open program %d: %w", id, err)
	}
	defer p.Close()
	info, err := p.Info()
	if err != nil {
		return nil, fmt.Errorf("read about program %d: %w", id, err)
	}
	s := &KernelState{ProgramID: id, Name: info.Name, Type: strings.ToLower(info.Type.String()), Tag: info.Tag}
	if s.GPLCompatible, err = gplCompatible(p); err != nil {
		return nil, fmt.Errorf("read about program %d: %w", id, err)
	}
	if since, ok := info.LoadTime(); ok {
		boot, err := bootTime()
		if err != nil {
			return nil, err
		}
		s.LoadedAt = boot.Add(since).Round(time.Second)
	}
	btf, _ := info.BTFID()
	s.BTFID = uint32(btf)
	// What is not told is 0, and left out.
	s.BytesTranslated, _ = info.TranslatedSize()
	s.BytesJited, _ = info.JitedSize()
	s.BytesMemlock, _ = info.Memlock()
	s.VerifiedInstructions, _ = info.VerifiedInstructions()
	return s, nil
}
