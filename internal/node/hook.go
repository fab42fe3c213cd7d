// SPDX-License-Identifier: Apache-2.0

package node

import (
	"fmt"

	"github.com/xdp-chain/xdp-chain/internal/record"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
	"github.com/xdp-chain/xdp-chain/pkg/netdev"
)

func defaultAttach(kind chain.Dispatcher) chain.Attach {
	if kind == chain.DispatcherLibxdp {
		return chain.AttachNetlink
	}
	return chain.AttachLink
}

// keepHook has a chain stay as it is held and in the mode that it runs in: going
// from a bpf_link to netlink, or from one mode to another, takes an instant
// without a chain.
func (t *tenure) keepHook(s *record.State, found *libxdpChain) error {
	old := record.State{Attach: chain.AttachNetlink}
	switch {
	case t.rec.State != nil && (found != nil || len(t.rec.State.Members) > 0):
		old = *t.rec.State
	case found == nil:
		return nil
	}
	if found != nil {
		old.Mode = found.mode
	}
	if s.Requested.Attach == chain.AttachAuto {
		s.Attach = old.Attach
	}
	if s.Requested.Mode == chain.ModeAuto {
		s.Mode, s.ModeWhy = old.Mode, old.ModeWhy
	}
	if s.Attach != old.Attach || s.Mode != old.Mode {
		return fmt.Errorf("%w: the chain is attached by %s in mode %s, and %s in mode %s is asked for, which would take an instant without a chain; take all of its members off first",
			netdev.ErrUnsupported, old.Attach, old.Mode, s.Attach, s.Mode)
	}
	return nil
}
