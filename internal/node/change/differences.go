// SPDX-License-Identifier: Apache-2.0

package change

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"

	"github.com/xdp-chain/xdp-chain/internal/config"
	"github.com/xdp-chain/xdp-chain/internal/node/resolve"
	"github.com/xdp-chain/xdp-chain/internal/node/state"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
	"github.com/xdp-chain/xdp-chain/pkg/netdev"
)

// Differences says what the kernel and bpffs have that the record does not say, a sentence
// each, also of a chain that has no record or no interface any more.
func (lc *LockedChain) Differences() ([]string, error) {
	if lc.rec == nil {
		return lc.unrecordedDifferences()
	}
	if lc.iface == nil {
		if err := lc.seek(); err != nil {
			return nil, err
		}
	}
	if lc.rec.State == nil {
		return []string{"it never came to run, and its process was killed"}, nil
	}
	if lc.iface == nil {
		alive, err := lc.node.LinkAlive(lc.lock.Key())
		if err == nil && alive {
			err = fmt.Errorf("%w: it runs on %s, and no path leads to its network namespace", netdev.ErrNetNSGone, lc.rec.Interface)
		}
		return []string{"its interface is gone"}, err
	}
	var list []string
	if lc.moved() {
		list = append(list, "its interface was moved to another network namespace, where it can be taken off and not be changed")
	}
	differences, err := lc.recordedDifferences()
	return append(list, differences...), err
}

// unrecordedDifferences says what there is of a chain whose record is lost.
func (lc *LockedChain) unrecordedDifferences() ([]string, error) {
	alive, err := lc.node.LinkAlive(lc.lock.Key())
	if err != nil {
		return nil, err
	}
	what := "no link holds it on an interface; xdpctl gc removes its pins"
	if alive {
		what = "its link still holds it on its interface, until the pod goes or the link's pin is removed"
	}
	return []string{"its record is missing or broken, so that it can be neither shown nor changed; " + what}, nil
}

// recordedDifferences says what the kernel and bpffs have that the record does not say.
func (lc *LockedChain) recordedDifferences() ([]string, error) {
	hook, err := lc.hookDifferences()
	if err != nil {
		return nil, err
	}
	pins, err := lc.pinDifferences()
	if err != nil {
		return nil, err
	}
	peer, err := lc.peerDifferences()
	return slices.Concat(hook, pins, peer), err
}

func (lc *LockedChain) hookDifferences() ([]string, error) {
	s := lc.rec.State
	if s.Dispatcher == chain.DispatcherLibxdp {
		return lc.slotDifferences()
	}
	if why, err := lc.notRunning(); why != "" || err != nil {
		return []string{why}, err
	}
	attached, err := lc.attached()
	if err != nil || attached.Mode == s.Mode {
		return nil, err
	}
	return []string{fmt.Sprintf("the chain runs in mode %s, recorded is %s", attached.Mode, s.Mode)}, nil
}

// notRunning says why the chain does not run, also what holds the program that is there
// instead; nothing where it runs.
func (lc *LockedChain) notRunning() (string, error) {
	liveness, why, err := lc.node.LivenessOn(lc.rec, lc.iface)
	if liveness == state.Detached {
		if holder, holderErr := lc.iface.Holder(); holderErr == nil {
			why = state.DetachedBy(lc.rec, holder)
		}
	}
	return why, err
}

// slotDifferences says what a libxdp dispatcher lacks of what the record has. It need
// not be the one that was recorded: libxdp's tools make a new one for each change, and
// members of theirs beside ours are no difference.
func (lc *LockedChain) slotDifferences() ([]string, error) {
	s := lc.rec.State
	found, err := lc.node.FindLibxdp(lc.rec, lc.iface)
	if err != nil {
		return nil, err
	}
	defer found.Close()
	if found == nil {
		why, err := lc.notRunning()
		return []string{why}, err
	}
	if found.Unpinned {
		return []string{fmt.Sprintf("the pins of libxdp's dispatcher (program %d) are missing below %s", found.ID, lc.node.LibxdpTree(lc.rec).BPFFS())}, nil
	}
	var list []string
	if found.Mode != s.Mode {
		list = append(list, fmt.Sprintf("the chain runs in mode %s, recorded is %s", found.Mode, s.Mode))
	}
	for _, m := range s.Members {
		slot := found.Slot(m.ProgramID)
		switch {
		case slot == nil:
			list = append(list, fmt.Sprintf("member %q (program %d) is not in libxdp's dispatcher (program %d) any more: it was taken off with libxdp's tools", m.Name, m.ProgramID, found.ID))
			continue
		case slot.Priority != m.Priority:
			list = append(list, fmt.Sprintf("member %q runs with priority %d, recorded is %d", m.Name, slot.Priority, m.Priority))
		}
		if have, want := state.WithoutReturn(slot.ProceedOn), state.WithoutReturn(m.ProceedOn); have != want {
			list = append(list, fmt.Sprintf("member %q runs proceeding on %s, recorded is %s", m.Name, have, want))
		}
	}
	return list, nil
}

// pinDifferences says which pins are missing. Those of libxdp's members are links of our own,
// which keep them in the dispatcher whatever becomes of libxdp's pins.
func (lc *LockedChain) pinDifferences() ([]string, error) {
	s := lc.rec.State
	var list []string
	opened := func(what string, pinned io.Closer, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			list = append(list, "the pin of its "+what+" is missing")
			return nil
		}
		if err == nil {
			pinned.Close()
		}
		return err
	}
	if s.Attach == chain.AttachLink {
		l, err := lc.lock.OpenLink()
		if err := opened("link", l, err); err != nil {
			return nil, err
		}
	}
	if s.Dispatcher == chain.DispatcherLibxdp {
		links, err := lc.lock.OpenLinks()
		if err != nil {
			return nil, err
		}
		for _, m := range s.Members {
			if l, ok := links[m.Name]; ok {
				l.Close()
			} else {
				list = append(list, fmt.Sprintf("the pin of the link of member %q is missing", m.Name))
			}
		}
	}
	if s.Counters {
		m, err := lc.lock.OpenCounters()
		if err := opened("counters", m, err); err != nil {
			return nil, err
		}
	}
	for _, m := range s.Members {
		maps, err := lc.lock.OpenMaps(m.Name)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		state.CloseMaps(maps)
		for _, name := range m.Pins {
			if maps[name] == nil {
				list = append(list, fmt.Sprintf("the pin of map %q of member %q is missing", name, m.Name))
			}
		}
	}
	return list, nil
}

// missing says what the configuration wants of the chain and the record has not,
// and the other way round.
func (lc *LockedChain) missing(a *resolve.Attachment, programs []config.Program) []string {
	var list []string
	for _, p := range programs {
		m := lc.state().Member(p.Name, a.Owner)
		switch {
		case m == nil:
			list = append(list, fmt.Sprintf("member %q is missing", p.Name))
			continue
		case p.Priority != nil && *p.Priority != m.Priority:
			list = append(list, fmt.Sprintf("member %q has priority %d, configured is %d", p.Name, m.Priority, *p.Priority))
		}
		if p.ProceedOn != nil && *p.ProceedOn != m.ProceedOn {
			list = append(list, fmt.Sprintf("member %q proceeds on %s, configured is %s", p.Name, m.ProceedOn, *p.ProceedOn))
		}
		if m.ReplacedManually {
			list = append(list, fmt.Sprintf("member %q runs %s of %s, by which an operator replaced what is configured", p.Name, m.Function, m.Origin))
		}
	}
	for _, m := range lc.rec.State.Members {
		named := slices.ContainsFunc(programs, func(p config.Program) bool { return p.Name == m.Name })
		if m.Owner.Same(a.Owner) && !named {
			list = append(list, fmt.Sprintf("member %q is in the chain and not in the configuration", m.Name))
		}
	}
	return list
}
