// SPDX-License-Identifier: Apache-2.0

package inspect

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"sync"

	"github.com/cilium/ebpf"

	"github.com/xdp-chain/xdp-chain/internal/enum"
	"github.com/xdp-chain/xdp-chain/internal/node/state"
	"github.com/xdp-chain/xdp-chain/internal/record"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
	"github.com/xdp-chain/xdp-chain/pkg/dispatcher/libxdp"
	"github.com/xdp-chain/xdp-chain/pkg/netdev"
)

// Hook is an interface with an XDP program, whoever put it there. Its JSON form is as
// stable as that of [Chain].
type Hook struct {
	// NetNS is a path of the interface's network namespace, as in [Chain].
	NetNS     string `json:"netns"`
	Interface string `json:"interface"`
	Ifindex   int    `json:"ifindex"`
	// Key is what names a chain on the interface, be there one or not.
	Key chain.Key `json:"key"`
	// Owner is whose it is. With [NoOwner] nothing follows.
	Owner HookOwner `json:"whose"`
	// Mode is native, generic or offload.
	Mode chain.Mode `json:"mode,omitempty"`
	// ProgramID, Name and Tag are the kernel's of the program on the hook: of a chain's
	// dispatcher, or of whatever else is there.
	ProgramID uint32 `json:"programID,omitempty"`
	Name      string `json:"name,omitempty"`
	Tag       string `json:"tag,omitempty"`
	// Attach is what holds it: link or netlink.
	Attach chain.Attach `json:"attach,omitempty"`
	// Dispatcher is which one it is, where it is a dispatcher.
	Dispatcher chain.Dispatcher `json:"dispatcher,omitempty"`
	// Members are a dispatcher's, in running order.
	Members []Member `json:"members,omitempty"`
	// Holder says more about what holds a program that is no chain of ours.
	Holder *HookHolder `json:"holder,omitempty"`
	// State is that of a chain of this node, otherwise nil, and Reason says why the chain does
	// not run.
	State  *state.Liveness `json:"state,omitempty"`
	Reason string          `json:"reason,omitempty"`
}

// HookQuery says which hooks are resolve.Member. The zero value is all of them that have a program.
type HookQuery struct {
	// NetNS is a path of a network namespace; empty is every one that can be found.
	NetNS string
	// Interface is a name; empty is every one with a program.
	Interface string
}

// Hooks returns the XDP hooks of this machine by namespace and index, the process's own
// namespace first, and after them the recorded chains that do not run. Hooks without a program are among them only where an interface is
// asked for by its name; if none has it, errors.Is(err, [netdev.ErrNoInterface]). Like
// [List] it takes no locks and returns errors beside what could be read.
func Hooks(n *state.Node, q HookQuery) ([]Hook, error) {
	paths := []string{q.NetNS}
	if q.NetNS == "" {
		var err error
		if paths, err = netdev.Namespaces(); err != nil {
			return nil, err
		}
	}
	look, err := newHookLook(n, q)
	found := make([][]Hook, len(paths))
	errs := make([]error, len(paths))
	state.InParallel(len(paths), func(i int) { found[i], errs[i] = look.namespace(paths[i]) })
	hooks := append([]Hook{}, slices.Concat(found...)...) // none is no null in JSON
	err = errors.Join(append(errs, err, nameHolders(n.BPFFS.Root, hooks))...)
	absent, absentErr := look.absent(hooks)
	hooks, err = append(hooks, absent...), errors.Join(err, absentErr)
	if len(hooks) == 0 && err == nil && q.Interface != "" {
		err = fmt.Errorf("%w: %q in %s", netdev.ErrNoInterface, q.Interface, cmp.Or(q.NetNS, "any network namespace"))
	}
	return hooks, err
}

// hookLook is a look at the hooks of many namespaces at once.
type hookLook struct {
	node    *state.Node
	query   HookQuery
	records map[chain.Key]*record.Record
	// links lists the machine's bpf_links, once, where a program may be held by one that
	// is not ours.
	links func() (netdev.Links, error)
}

func newHookLook(n *state.Node, q HookQuery) (*hookLook, error) {
	l := &hookLook{node: n, query: q, records: make(map[chain.Key]*record.Record), links: sync.OnceValues(netdev.FindLinks)}
	records, err := n.Recorded()
	for _, rec := range records {
		l.records[rec.Key] = rec
	}
	return l, err
}

// namespace looks at the hooks of one. A path that leads to none any more is no error
// where nobody asked for it.
func (l *hookLook) namespace(path string) ([]Hook, error) {
	ns, err := netdev.OpenNetNS(path)
	if err != nil {
		if l.query.NetNS == "" && errors.Is(err, netdev.ErrNetNSGone) {
			err = nil
		}
		return nil, err
	}
	defer ns.Close()
	interfaces, err := ns.Hooks()
	if err != nil {
		return nil, err
	}
	var hooks []Hook
	var errs []error
	for _, i := range interfaces {
		if l.query.Interface != "" && l.query.Interface != i.Name {
			continue
		}
		if len(i.Programs) == 0 && l.query.Interface != "" {
			hooks = append(hooks, newHook(i.Interface, netdev.Attached{}))
		}
		for _, program := range i.Programs {
			h, err := l.identify(i.Interface, program)
			if err != nil {
				errs = append(errs, fmt.Errorf("%s in network namespace %s: %w", i.Name, path, err))
			}
			hooks = append(hooks, h)
		}
	}
	return hooks, errors.Join(errs...)
}

// absent are the recorded chains that are asked for, and of which there is no hook, as they do
// not run.
func (l *hookLook) absent(hooks []Hook) ([]Hook, error) {
	cookie := uint64(0)
	if l.query.NetNS != "" {
		ns, err := netdev.OpenNetNS(l.query.NetNS)
		if err != nil {
			return nil, nil // said already
		}
		cookie = ns.Cookie()
		ns.Close()
	}
	there := make(map[chain.Key]bool)
	for _, h := range hooks {
		there[h.Key] = there[h.Key] || h.Owner == ChainOwner
	}
	var list []Hook
	var errs []error
	locator := l.node.NewLocator()
	for _, key := range slices.SortedFunc(maps.Keys(l.records), state.CompareKeys) {
		rec := l.records[key]
		if there[key] || cookie != 0 && key.Cookie != cookie || l.query.Interface != "" && rec.Interface != l.query.Interface {
			continue
		}
		condition, err := conditionOf(locator, rec)
		if err != nil {
			errs = append(errs, fmt.Errorf("chain %s: %w", key, err))
		} else if condition.State != state.Running {
			c := shown(rec)
			list = append(list, Hook{
				NetNS: c.NetNS, Interface: c.Interface, Ifindex: c.Ifindex, Key: key, Owner: ChainOwner,
				Attach: c.Attach, Dispatcher: c.Dispatcher, Members: c.Members, State: &condition.State, Reason: condition.Reason,
			})
		}
	}
	return list, errors.Join(errs...)
}

func newHook(i *netdev.Interface, a netdev.Attached) Hook {
	h := Hook{
		NetNS: i.NetNS.Path(), Interface: i.Name, Ifindex: i.Index, Key: i.Key(),
		Owner: NoOwner, Mode: a.Mode, ProgramID: uint32(a.ProgramID), Attach: a.Attach,
	}
	if a.ProgramID != 0 {
		h.Owner = ForeignOwner
	}
	return h
}

// HookOwner says who put a program on its hook. The zero value is NoOwner.
type HookOwner uint8

// The values of HookOwner.
const (
	// NoOwner has no program.
	NoOwner HookOwner = iota
	// ChainOwner has a chain of this node, by either dispatcher.
	ChainOwner
	// LibxdpOwner has a dispatcher of libxdp's tools, none of its members ours.
	LibxdpOwner
	// ForeignOwner has any other program.
	ForeignOwner
)

var hookOwnerNames = enum.Names[HookOwner]{
	What: "whose", Invalid: chain.ErrInvalid, List: []string{"none", "chain", "libxdp", "foreign"},
}

// identify finds out whose a program on an interface is. One that nobody knows may be a
// chain's that was swapped in since the records were read, and is looked at again.
func (l *hookLook) identify(i *netdev.Interface, a netdev.Attached) (Hook, error) {
	rec := l.records[i.Key()]
	h, err := l.tryIdentify(i, a, rec)
	for range state.FindTries {
		if err == nil && h.Owner == ChainOwner {
			break
		}
		again, now, changed, lookErr := l.lookAgain(i, a, rec)
		if lookErr != nil || !changed {
			err = errors.Join(err, lookErr)
			break
		}
		rec, a = again, now
		h, err = l.tryIdentify(i, a, rec)
	}
	if h.Owner != ChainOwner && h.Owner != NoOwner && err == nil {
		err = l.findHolder(&h, i, a)
	}
	return h, err
}

// lookAgain tells what there is now, and whether it is something else.
func (l *hookLook) lookAgain(i *netdev.Interface, a netdev.Attached, rec *record.Record) (again *record.Record, now netdev.Attached, changed bool, err error) {
	again, err = l.node.Records.Load(i.Key())
	if errors.Is(err, fs.ErrNotExist) {
		again, err = nil, nil
	}
	if err != nil {
		return rec, a, false, err
	}
	now = a
	if a.Mode != chain.ModeOffload { // which may be behind another one
		now, err = i.Attached()
	}
	if errors.Is(err, netdev.ErrNoInterface) {
		return again, netdev.Attached{}, true, nil
	}
	return again, now, now != a || !state.SameJSON(again, rec), err
}

// tryIdentify compares a program with the record of a chain, which may be nil.
func (l *hookLook) tryIdentify(i *netdev.Interface, a netdev.Attached, rec *record.Record) (Hook, error) {
	h := newHook(i, a)
	if a.ProgramID == 0 {
		return h, nil
	}
	var err error
	if h.Name, h.Tag, err = describe(a.ProgramID); err != nil {
		if errors.Is(err, fs.ErrNotExist) { // replaced since
			err = nil
		}
		return h, err
	}
	if h.Name == libxdp.ProgramName {
		return h, l.readMembers(&h, i, rec)
	}
	if s := rec.Generation(h.ProgramID); s != nil {
		h.Owner, h.Attach, h.Dispatcher, h.State = ChainOwner, s.Attach, s.Dispatcher, new(state.Running)
		h.Members = shown(&record.Record{State: s}).Members
	}
	return h, nil
}

// readMembers reads the members of a dispatcher of libxdp's, of which some may be ours.
func (l *hookLook) readMembers(h *Hook, i *netdev.Interface, rec *record.Record) error {
	if rec == nil {
		rec = &record.Record{Key: h.Key, NetNS: h.NetNS, Interface: h.Interface}
	}
	found, err := l.node.FindLibxdp(rec, i)
	if err != nil || found == nil || found.ID != h.ProgramID {
		found.Close()
		return err
	}
	defer found.Close()
	h.Owner, h.Dispatcher, h.Attach = LibxdpOwner, chain.DispatcherLibxdp, chain.AttachNetlink
	if found.HasOwn() || found.Recorded {
		h.Owner, h.State = ChainOwner, new(state.Running)
	}
	for place := range found.Slots {
		s := &found.Slots[place]
		m := shownSlot(s, place)
		if _, m.Tag, err = describe(ebpf.ProgramID(s.ID)); err != nil {
			return fmt.Errorf("member %q: %w", m.Name, err)
		}
		h.Members = append(h.Members, m)
	}
	return nil
}

// describe returns what the kernel calls a program, and its tag.
func describe(id ebpf.ProgramID) (name, tag string, err error) {
	p, err := ebpf.NewProgramFromID(id)
	if err != nil {
		return "", "", fmt.Errorf("open program %d: %w", id, err)
	}
	defer p.Close()
	info, err := p.Info()
	if err != nil {
		return "", "", fmt.Errorf("read about program %d: %w", id, err)
	}
	return info.Name, info.Tag, nil
}
