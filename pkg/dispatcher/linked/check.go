// SPDX-License-Identifier: Apache-2.0

package linked

import (
	"fmt"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/xdp-chain/xdp-chain/pkg/chain"
	"github.com/xdp-chain/xdp-chain/pkg/dispatcher"
	"github.com/xdp-chain/xdp-chain/pkg/dispatcher/internal/load"
)

// check finds what can be found without the kernel, before anything is made.
func check(members []dispatcher.Member, opts dispatcher.Options) error {
	if len(members) == 0 {
		return fmt.Errorf("%w: a chain needs at least one member", chain.ErrInvalid)
	}
	list := make([]chain.Member, 0, len(members))
	for _, m := range members {
		list = append(list, m.Member)
	}
	if err := chain.CheckMembers(list, MaxMembers); err != nil {
		return err
	}
	for i := range members {
		if err := checkMember(&members[i]); err != nil {
			return err
		}
	}
	if err := checkLicenses(members); err != nil {
		return err
	}
	if err := checkKconfig(members); err != nil {
		return err
	}
	return checkMapCount(members, opts)
}

func checkMember(m *dispatcher.Member) error {
	p, err := load.Check(m)
	if err != nil {
		return err
	}
	if rest := p.Flags &^ unix.BPF_F_XDP_HAS_FRAGS; rest != 0 {
		return fmt.Errorf("%w: member %q wants to be loaded with flags %#x, which would be the whole chain's", dispatcher.ErrNotLinkable, m.Name, rest)
	}
	return load.CheckProgramArrays(m)
}

// checkKconfig refuses a second member with externs from .kconfig: cilium/ebpf
// makes at most one such map for a program.
func checkKconfig(members []dispatcher.Member) error {
	var names []string
	for i := range members {
		if usesKconfig(&members[i]) {
			names = append(names, members[i].Name)
		}
	}
	if len(names) > 1 {
		return fmt.Errorf("%w: members %s read the kernel's configuration (.kconfig), and one program can have one such member",
			dispatcher.ErrNotLinkable, strings.Join(names, ", "))
	}
	return nil
}

// usesKconfig reports whether a member has loads from .kconfig: the only ones from
// a map that cilium/ebpf leaves without a reference or file descriptor.
func usesKconfig(m *dispatcher.Member) bool {
	for _, ins := range m.Spec.Programs[m.Function].Instructions {
		if ins.IsLoadFromMap() && ins.Reference() == "" && ins.Map() == nil && int32(ins.Constant) <= 0 {
			return true
		}
	}
	return false
}
