// SPDX-License-Identifier: Apache-2.0

package netdev

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/cilium/ebpf/link"

	"github.com/xdp-chain/xdp-chain/internal/testenv"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
)

// Links that come and go while all are looked at are no fault.
func TestEachLinkWhileLinksAreMade(t *testing.T) {
	testenv.NoLeaks(t)
	i, _ := pair(t, 0)
	p := program(t, "pass", 2, false)
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	var maker sync.WaitGroup
	maker.Go(func() {
		for ctx.Err() == nil {
			l, _, err := i.AttachLink(AttachOptions{Program: p, Mode: chain.ModeGeneric})
			if err != nil {
				t.Error(err)
				return
			}
			if err := errors.Join(l.Detach(), l.Close()); err != nil {
				t.Error(err)
				return
			}
		}
	})
	for ctx.Err() == nil {
		if err := EachLink(func(link.Link) {}); err != nil {
			t.Error(err)
			break
		}
	}
	maker.Wait()
}
