// SPDX-License-Identifier: Apache-2.0

package linked

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/xdp-chain/xdp-chain/pkg/chain"
	"github.com/xdp-chain/xdp-chain/pkg/dispatcher"
	"github.com/xdp-chain/xdp-chain/pkg/dispatcher/internal/counters"
	"github.com/xdp-chain/xdp-chain/pkg/dispatcher/internal/load"
)

const (
	// ProgramName is the kernel's name of every chain that this package makes.
	ProgramName = "xdp_chain"

	// MaxMembers is the largest number of members in a chain.
	MaxMembers = 64
)

// linker keeps no state: a chain is made from its members alone.
type linker struct{}

// New returns the dispatcher that links members into one program.
func New() dispatcher.Dispatcher { return linker{} }

// Kind implements [dispatcher.Dispatcher].
func (linker) Kind() chain.Dispatcher { return chain.DispatcherLinked }

// MaxMembers implements [dispatcher.Dispatcher].
func (linker) MaxMembers() int { return MaxMembers }

// Build implements [dispatcher.Dispatcher].
func (linker) Build(ctx context.Context, members []dispatcher.Member, opts dispatcher.Options) (*dispatcher.Built, error) {
	members, err := load.Settle(members)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(members, func(a, b dispatcher.Member) int { return chain.Compare(a.Member, b.Member) })
	if err := check(members, opts); err != nil {
		return nil, err
	}
	built := &dispatcher.Built{
		Members: load.Places(members),
		Maps:    make(map[string]map[string]*ebpf.Map, len(members)),
		Frags:   load.TakesFrags(members),
	}
	if err := fill(ctx, built, members, opts); err != nil {
		return nil, errors.Join(load.Permission(err), built.Close())
	}
	return built, nil
}

// fill makes the maps and the program of a chain. What it made before an error is in
// built.
func fill(ctx context.Context, built *dispatcher.Built, members []dispatcher.Member, opts dispatcher.Options) (err error) {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := load.Maps(built, members, load.Redirects{InNetNS: opts.InNetNS, Frags: built.Frags}); err != nil {
		return err
	}
	if opts.Counters {
		if built.Counters, err = ebpf.NewMap(counters.Spec(len(members))); err != nil {
			return fmt.Errorf("making the counters: %w", err)
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	spec, err := assemble(members, built, opts)
	if err != nil {
		return err
	}
	built.Program, err = ebpf.NewProgram(spec)
	if err == nil || errors.Is(load.Permission(err), dispatcher.ErrNotPermitted) {
		return err
	}
	return explain(ctx, members, built, opts, err)
}

// explain finds out why a chain does not load, by loading its members one by one
// with the maps that are there already. It returns err where that tells no more.
func explain(ctx context.Context, members []dispatcher.Member, built *dispatcher.Built, opts dispatcher.Options, err error) error {
	for i := range members {
		if ctx.Err() != nil {
			return errors.Join(ctx.Err(), err)
		}
		if alone := explainMember(members[i:i+1], built, opts); alone != nil {
			return alone
		}
	}
	var together *ebpf.VerifierError
	if !errors.As(err, &together) {
		return fmt.Errorf("loading the chain: %w", err)
	}
	// Each is right by itself: what the verifier will not take is the sum of their
	// instructions (one million that it visits) or functions (256).
	return fmt.Errorf("%w: the verifier takes each alone and refuses them together: %s: %w",
		dispatcher.ErrNotLinkable, load.Reason(together), together.Cause)
}

// explainMember loads a member as a chain of its own, and if that fails as the
// program it is. It returns nil for a member that makes a chain.
func explainMember(member []dispatcher.Member, built *dispatcher.Built, opts dispatcher.Options) error {
	m := &member[0]
	spec, err := assemble(member, built, opts)
	if err != nil {
		return err
	}
	linked := load.Try(spec)
	if linked == nil {
		return nil
	}
	plain := m.Spec.Programs[m.Function].Copy()
	plain.Ifindex, plain.Flags = spec.Ifindex, spec.Flags
	if err := load.Associate(plain.Instructions, built.Maps[m.Name]); err != nil {
		return fmt.Errorf("member %q: %w", m.Name, err)
	}
	if err := load.Try(plain); err != nil {
		return load.Blame(m.Name, err)
	}
	return blameLinking(m, linked)
}

// blameLinking words the error of a member that loads as a plain program but not
// behind a dispatcher.
func blameLinking(m *dispatcher.Member, err error) error {
	var refused *ebpf.VerifierError
	if !errors.As(err, &refused) {
		return fmt.Errorf("linking member %q: %w", m.Name, err)
	}
	reason, advice := dispatcher.ErrNotLinkable, ""
	if log := strings.Join(refused.Log, "\n"); strings.Contains(log, "combined stack size of") ||
		strings.Contains(log, "the call stack of") ||
		strings.Contains(log, "when call stack of previous frames is") {
		// The words of check_max_stack_depth in the kernel's kernel/bpf/verifier.c.
		reason, advice = dispatcher.ErrStackTooDeep, "; keep its large variables in a per-CPU array instead"
	}
	return fmt.Errorf("%w: member %q loads as a program by itself, but not behind a dispatcher: %s: %w%s",
		reason, m.Name, load.Reason(refused), refused.Cause, advice)
}

// check finds what can be found without the kernel, before anything is made.
func check(members []dispatcher.Member, opts dispatcher.Options) error {
	if len(members) == 0 {
		return fmt.Errorf("%w: a chain needs at least one member", chain.ErrInvalid)
	}
	if err := chain.CheckMembers(load.Places(members), MaxMembers); err != nil {
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
	if m.Spec == nil {
		return fmt.Errorf("%w: member %q is not from an object, and only libxdp's dispatcher takes such members", chain.ErrInvalid, m.Name)
	}
	p := m.Spec.Programs[m.Function]
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

// checkLicenses refuses a chain in which some licences are compatible with the GPL
// and some are not. As one program it would either be denied the helpers that its
// GPL members may call, or would lend them to the others.
func checkLicenses(members []dispatcher.Member) error {
	var gpl, other []string
	for _, m := range members {
		license := m.Spec.Programs[m.Function].License
		who := fmt.Sprintf("%s (%q)", m.Name, license)
		if chain.GPLCompatible(license) {
			gpl = append(gpl, who)
		} else {
			other = append(other, who)
		}
	}
	if len(gpl) == 0 || len(other) == 0 {
		return nil
	}
	return fmt.Errorf("%w: compatible with the GPL: %s; not compatible: %s; a program has one licence, so all or none of them must be compatible",
		dispatcher.ErrMixedLicenses, strings.Join(gpl, ", "), strings.Join(other, ", "))
}

// maxMaps is the kernel's MAX_USED_MAPS (linux/bpf_verifier.h).
const maxMaps = 64

// checkMapCount refuses members that use more maps than a program can, and says how
// many each uses.
func checkMapCount(members []dispatcher.Member, opts dispatcher.Options) error {
	total, _, err := countAllMaps(members, opts, nil)
	if total <= maxMaps || err != nil {
		return err
	}
	// Members may have been given the same map, which is one to the kernel. Asking
	// which is which costs system calls, so only chains that need it do.
	total, counts, err := countAllMaps(members, opts, make(map[ebpf.MapID]bool))
	if total <= maxMaps || err != nil {
		return err
	}
	return fmt.Errorf("%w: they use %d and a program can use %d: %s", dispatcher.ErrTooManyMaps, total, maxMaps, strings.Join(counts, ", "))
}

func countAllMaps(members []dispatcher.Member, opts dispatcher.Options, given map[ebpf.MapID]bool) (total int, counts []string, _ error) {
	for i := range members {
		n, err := countMaps(&members[i], given)
		if err != nil {
			return 0, nil, err
		}
		total += n
		counts = append(counts, fmt.Sprintf("%s %d", members[i].Name, n))
	}
	if opts.Counters {
		total++
		counts = append(counts, "the counters 1")
	}
	return total, counts, nil
}

// countMaps counts the maps that a member's instructions load. Unless given is nil,
// maps that were given to the member are put there, and those there not counted.
func countMaps(m *dispatcher.Member, given map[ebpf.MapID]bool) (int, error) {
	seen := make(map[string]bool)
	n := 0
	for _, ins := range m.Spec.Programs[m.Function].Instructions {
		name := ins.Reference()
		if !ins.IsLoadFromMap() || seen[name] {
			continue
		}
		seen[name] = true
		if given != nil && m.Maps[name] != nil {
			id, err := mapID(m.Maps[name])
			if err != nil {
				return 0, fmt.Errorf("map %q given to member %q: %w", name, m.Name, err)
			}
			if given[id] {
				continue
			}
			given[id] = true
		}
		n++
	}
	return n, nil
}

func mapID(m *ebpf.Map) (ebpf.MapID, error) {
	info, err := m.Info()
	if err != nil {
		return 0, err
	}
	id, ok := info.ID()
	if !ok {
		return 0, fmt.Errorf("asking for its id: %w", ebpf.ErrNotSupported)
	}
	return id, nil
}
