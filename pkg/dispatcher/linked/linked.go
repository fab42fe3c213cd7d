// SPDX-License-Identifier: Apache-2.0

package linked

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/cilium/ebpf"

	"github.com/xdp-chain/xdp-chain/pkg/chain"
	"github.com/xdp-chain/xdp-chain/pkg/dispatcher"
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
	members = slices.Clone(members)
	slices.SortFunc(members, func(a, b dispatcher.Member) int { return chain.Compare(a.Member, b.Member) })
	if err := check(members, opts); err != nil {
		return nil, err
	}
	built := &dispatcher.Built{Maps: make(map[string]map[string]*ebpf.Map, len(members)), Frags: load.TakesFrags(members)}
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
		if built.Counters, err = ebpf.NewMap(dispatcher.CountersSpec(len(members))); err != nil {
			return fmt.Errorf("making the counters: %w", err)
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	built.Program, err = loadChain(ctx, members, built, opts)
	return err
}

// loadChain links and loads the chain, and finds out whose fault it is when that fails.
func loadChain(ctx context.Context, members []dispatcher.Member, built *dispatcher.Built, opts dispatcher.Options) (*ebpf.Program, error) {
	spec, err := assemble(members, built, opts)
	if err != nil {
		return nil, err
	}
	program, err := ebpf.NewProgram(spec)
	if err == nil || errors.Is(load.Permission(err), dispatcher.ErrNotPermitted) {
		return program, err
	}
	return nil, explain(ctx, members, built, opts, err)
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
