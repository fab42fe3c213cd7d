// SPDX-License-Identifier: Apache-2.0

package inspect

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/xdp-chain/xdp-chain/internal/node/state"
	"github.com/xdp-chain/xdp-chain/internal/record"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
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
