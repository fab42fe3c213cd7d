// SPDX-License-Identifier: Apache-2.0

package linked

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/cilium/ebpf"

	"github.com/xdp-chain/xdp-chain/pkg/dispatcher"
	"github.com/xdp-chain/xdp-chain/pkg/dispatcher/internal/load"
)

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
