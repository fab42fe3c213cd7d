// SPDX-License-Identifier: Apache-2.0

package inspect

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"runtime"
	"slices"
	"strings"
	"time"
	"unsafe"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/xdp-chain/xdp-chain/internal/node/state"
	"github.com/xdp-chain/xdp-chain/internal/record"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
)

// Detail is all that is known of a member. Its JSON form is as stable as that of
// [Chain].
type Detail struct {
	Member
	// Digest is that of the object's content, by which the store has it, and Origin where
	// the object came from: a path, or which built-in.
	Digest string `json:"digest"`
	Origin string `json:"origin"`
	// Globals are the global variables that were set.
	Globals map[string]json.RawMessage `json:"globals,omitempty"`
	Maps    []MemberMap                `json:"maps"`
	// The chain that it is in.
	Chain chain.Key `json:"chain"`
	Placement
	// Kernel is the program that runs it. In a linked chain, where the member is a function
	// of the chain's one program, that is the chain's and WholeChain is true; with libxdp's
	// dispatcher it is the member's own. Nil where there is none, and KernelReason says why.
	Kernel       *KernelState `json:"kernel,omitempty"`
	WholeChain   bool         `json:"wholeChain,omitempty"`
	KernelReason string       `json:"kernelReason,omitempty"`
	// MapIDs are the kernel's ids of the member's own maps, of all programs in the chain.
	MapIDs []uint32 `json:"mapIDs"`
}

// Get returns what is known of the member with an id; if none has it, errors.Is(err,
// [state.ErrNoMember]). Like [List] it takes no locks. An error about another chain, whose
// members may use the same maps, is returned beside the detail.
func Get(n *state.Node, id record.ID) (Detail, error) {
	found, err := n.FindMembers(id)
	if err != nil {
		return Detail{}, err
	}
	key := found[0].Key
	d, err := state.Unchanged(n, found[0], func(rec *record.Record) (Detail, error) { return detail(n, rec, id) })
	if errors.Is(err, fs.ErrNotExist) {
		return Detail{}, fmt.Errorf("%w: member %d has left chain %s meanwhile", state.ErrNoMember, id, key)
	}
	if err != nil {
		return Detail{}, fmt.Errorf("member %d of chain %s: %w", id, key, err)
	}
	return d, findUsers(n, d.Maps, id)
}

// detail describes a member of a chain. The error where it is not there any more satisfies
// errors.Is(err, [fs.ErrNotExist]).
func detail(n *state.Node, rec *record.Record, id record.ID) (Detail, error) {
	i := slices.IndexFunc(rec.State.Members, func(m record.Member) bool { return m.ID == id })
	if i < 0 {
		return Detail{}, fs.ErrNotExist
	}
	m := &rec.State.Members[i]
	c, err := show(n, rec)
	if err != nil {
		return Detail{}, err
	}
	d := Detail{
		Member: shown(rec).Members[i],
		Digest: m.Object, Origin: m.Origin, Globals: m.Globals,
		Chain: c.Key, Placement: c.Placement,
		WholeChain: m.ProgramID == 0,
	}
	// With libxdp's tools' members around it, it may stand elsewhere than is recorded.
	if i := slices.IndexFunc(c.Members, func(m Member) bool { return m.ID == id }); i >= 0 {
		d.Member = c.Members[i]
	}
	if d.Maps, err = memberMaps(n, rec, m); err != nil {
		return Detail{}, err
	}
	d.MapIDs = []uint32{}
	for _, used := range d.Maps {
		if used.ID != 0 {
			d.MapIDs = append(d.MapIDs, used.ID)
		}
	}
	return d, d.readKernel(rec.State, m)
}

// readKernel reads about the program that runs the member.
func (d *Detail) readKernel(s *record.State, m *record.Member) error {
	program := m.ProgramID
	if d.WholeChain {
		program = s.ProgramID
	}
	var err error
	d.Kernel, err = kernelState(program)
	if errors.Is(err, fs.ErrNotExist) {
		d.KernelReason = fmt.Sprintf("program %d is gone: whoever took it off the interface was not xdp-chain", program)
		return nil
	}
	return err
}

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

// bootTime returns when CLOCK_BOOTTIME was 0, by what the wall clock says now.
func bootTime() (time.Time, error) {
	var since unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &since); err != nil {
		return time.Time{}, fmt.Errorf("read the time since boot: %w", err)
	}
	return time.Now().UTC().Add(-time.Duration(since.Nano())), nil
}

// wireProgInfo is struct bpf_prog_info of linux/bpf.h up to gpl_compatible, the first bit
// of Flags. The kernel fills in as much as there is room for.
type wireProgInfo struct {
	_     [84]byte
	Flags uint32
}

// wireInfoByFD is the part of union bpf_attr of linux/bpf.h for BPF_OBJ_GET_INFO_BY_FD.
type wireInfoByFD struct {
	FD   uint32
	Len  uint32
	Info uint64 // address
}

// gplCompatible asks the kernel whether a program's licence lets it call helpers that are
// for the GPL alone. ebpf.ProgramInfo has all the kernel tells but this.
func gplCompatible(p *ebpf.Program) (bool, error) {
	info := new(wireProgInfo)
	var held runtime.Pinner
	held.Pin(info)
	defer held.Unpin()
	attr := wireInfoByFD{FD: uint32(p.FD()), Len: uint32(unsafe.Sizeof(*info)), Info: uint64(uintptr(unsafe.Pointer(info)))}
	_, _, errno := unix.Syscall(unix.SYS_BPF, unix.BPF_OBJ_GET_INFO_BY_FD, uintptr(unsafe.Pointer(&attr)), unsafe.Sizeof(attr))
	runtime.KeepAlive(p)
	if errno != 0 {
		return false, fmt.Errorf("bpf(BPF_OBJ_GET_INFO_BY_FD): %w", errno)
	}
	return info.Flags&1 != 0, nil
}
