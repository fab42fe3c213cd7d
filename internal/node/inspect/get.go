// SPDX-License-Identifier: Apache-2.0

package inspect

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"

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
	i := state.IndexOf(rec.State.Members, id)
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
