// SPDX-License-Identifier: Apache-2.0

package node

import (
	"errors"
	"fmt"

	"github.com/xdp-chain/xdp-chain/pkg/chain"
	"github.com/xdp-chain/xdp-chain/pkg/netdev"
)

// slotDifferences says what a libxdp dispatcher lacks of what the record has. It need
// not be the one that was recorded: libxdp's tools make a new one for each change, and
// members of theirs beside ours are no difference.
func (t *tenure) slotDifferences() ([]string, error) {
	s := t.rec.State
	found, err := t.node.findLibxdp(t.rec, t.iface)
	if err != nil {
		return nil, err
	}
	defer found.close()
	if found == nil {
		return t.noDispatcher()
	}
	if found.unpinned {
		return []string{fmt.Sprintf("the pins of libxdp's dispatcher (program %d) are missing below %s", found.id, t.node.libxdpTree(t.rec).BPFFS())}, nil
	}
	var list []string
	if found.mode != s.Mode {
		list = append(list, fmt.Sprintf("the chain runs in mode %s, recorded is %s", found.mode, s.Mode))
	}
	for _, m := range s.Members {
		slot := found.slot(m.ProgramID)
		switch {
		case slot == nil:
			list = append(list, fmt.Sprintf("member %q (program %d) is not in libxdp's dispatcher (program %d) any more: it was taken off with libxdp's tools", m.Name, m.ProgramID, found.id))
			continue
		case slot.Priority != m.Priority:
			list = append(list, fmt.Sprintf("member %q runs with priority %d, recorded is %d", m.Name, slot.Priority, m.Priority))
		}
		if have, want := withoutReturn(slot.ProceedOn), withoutReturn(m.ProceedOn); have != want {
			list = append(list, fmt.Sprintf("member %q runs proceeding on %s, recorded is %s", m.Name, have, want))
		}
	}
	return list, nil
}

// withoutReturn leaves out the verdict that libxdp sets for every member and reads for
// none.
func withoutReturn(s chain.ActionSet) chain.ActionSet {
	return s &^ chain.ActionSetOf(chain.DispatcherReturn)
}

// noDispatcher says what the interface carries instead.
func (t *tenure) noDispatcher() ([]string, error) {
	holder, err := t.iface.Holder()
	switch {
	case errors.Is(err, netdev.ErrNoInterface):
		return []string{"the interface is gone"}, nil
	case err != nil:
		return nil, err
	}
	return []string{fmt.Sprintf("libxdp's dispatcher (program %d) is gone: the interface carries %s", t.rec.State.ProgramID, holder)}, nil
}

// linkDifferences says which members' links are not pinned in the chain's folder, which
// keep them in the dispatcher whatever becomes of libxdp's pins, and whether those are
// there.
func (t *tenure) linkDifferences() ([]string, error) {
	s := t.rec.State
	if s.Dispatcher != chain.DispatcherLibxdp {
		return nil, nil
	}
	links, err := t.lock.OpenLinks()
	if err != nil {
		return nil, err
	}
	var list []string
	for _, m := range s.Members {
		l, ok := links[m.Name]
		if !ok {
			list = append(list, fmt.Sprintf("the pin of the link of member %q is missing", m.Name))
			continue
		}
		l.Close()
	}
	return list, nil
}
