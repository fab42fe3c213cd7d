// SPDX-License-Identifier: Apache-2.0

package linked

import (
	"context"
	"errors"
	"fmt"
	"slices"

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
