// SPDX-License-Identifier: Apache-2.0

package node

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/xdp-chain/xdp-chain/internal/config"
	"github.com/xdp-chain/xdp-chain/internal/record"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
)

// MemberDetail is all that is known of a member. Its JSON form is as stable as that of
// [Chain].
type MemberDetail struct {
	ChainMember
	// Digest is that of the object's content, by which the store has it, and Origin where
	// the object came from: a path, or which built-in.
	Digest string `json:"digest"`
	Origin string `json:"origin"`
	// Globals are the global variables that were set.
	Globals map[string]json.RawMessage `json:"globals,omitempty"`
	Maps    []MemberMap                `json:"maps"`
	// The chain that it is in, as in [Chain].
	Chain            chain.Key        `json:"chain"`
	Interface        string           `json:"interface"`
	Ifindex          int              `json:"ifindex"`
	NetNS            string           `json:"netns"`
	Side             config.Side      `json:"side"`
	Mode             chain.Mode       `json:"mode"`
	ModeReason       string           `json:"modeReason,omitempty"`
	Attach           chain.Attach     `json:"attach"`
	Dispatcher       chain.Dispatcher `json:"dispatcher"`
	DispatcherReason string           `json:"dispatcherReason,omitempty"`
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
// [ErrNoMember]). Like [Node.List] it takes no locks. An error about another chain, whose
// members may use the same maps, is returned beside the detail.
func (n *Node) Get(id record.ID) (MemberDetail, error) {
	found, err := n.find(id)
	if err != nil {
		return MemberDetail{}, err
	}
	key := found[0].Key
	d, err := unchanged(n, found[0], func(rec *record.Record) (MemberDetail, error) { return n.detail(rec, id) })
	if errors.Is(err, fs.ErrNotExist) {
		return MemberDetail{}, fmt.Errorf("%w: member %d has left chain %s meanwhile", ErrNoMember, id, key)
	}
	if err != nil {
		return MemberDetail{}, fmt.Errorf("member %d of chain %s: %w", id, key, err)
	}
	return d, n.findUsers(d.Maps, id)
}

// detail describes a member of a chain. The error where it is not there any more satisfies
// errors.Is(err, [fs.ErrNotExist]).
func (n *Node) detail(rec *record.Record, id record.ID) (MemberDetail, error) {
	i := indexOf(rec.State.Members, id)
	if i < 0 {
		return MemberDetail{}, fs.ErrNotExist
	}
	m := &rec.State.Members[i]
	c, err := n.show(rec)
	if err != nil {
		return MemberDetail{}, err
	}
	d := MemberDetail{
		ChainMember: shown(rec).Members[i],
		Digest:      m.Object, Origin: m.Origin, Globals: m.Globals,
		Chain: c.Key, Interface: c.Interface, Ifindex: c.Ifindex, NetNS: c.NetNS, Side: c.Side, Mode: c.Mode, ModeReason: c.ModeReason,
		Attach: c.Attach, Dispatcher: c.Dispatcher, DispatcherReason: c.DispatcherReason,
		WholeChain: m.ProgramID == 0,
	}
	// With libxdp's tools' members around it, it may stand elsewhere than is recorded.
	if i := slices.IndexFunc(c.Members, func(m ChainMember) bool { return m.ID == id }); i >= 0 {
		d.ChainMember = c.Members[i]
	}
	if d.Maps, err = n.memberMaps(rec, m); err != nil {
		return MemberDetail{}, err
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
func (d *MemberDetail) readKernel(s *record.State, m *record.Member) error {
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
