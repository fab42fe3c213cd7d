// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"errors"
	"time"

	"github.com/xdp-chain/xdp-chain/pkg/chain"
	"github.com/xdp-chain/xdp-chain/pkg/netdev"
)

// racedError is the error of a swap that found something else on the interface than
// what had been read a moment before.
type racedError struct{ error }

// Unwrap returns the error of the swap.
func (e racedError) Unwrap() error { return e.error }

// raced marks the errors of a swap that may come of others' doing. A program on top of the
// interface is there to stay.
func raced(err error) error {
	if errors.Is(err, netdev.ErrCovered) {
		return err
	}
	if errors.Is(err, netdev.ErrBusy) || errors.Is(err, netdev.ErrNotAttached) {
		return racedError{err}
	}
	return err
}

// raceTries bounds how often a change is begun again that libxdp's tools came in
// between of. Each time it gets all that they had done by then.
const raceTries = 10

// retry makes a change again that failed because libxdp's tools changed the chain in
// the meantime. Only they do: the chain's lock keeps everybody of ours away, and any
// other program on the hook is there to stay. From the second try on libxdp's lock is
// held over all of it, so that only those can come in between who had read the chain by
// then.
func (t *tenure) retry(ctx context.Context, change func() error) error {
	for try := 0; ; try++ {
		err := change()
		if !errors.As(err, new(racedError)) || try == raceTries || !t.withLibxdp() {
			return err
		}
		if t.libxdp == nil {
			lock, lockErr := t.trees()[0].Lock(ctx)
			if lockErr != nil {
				return errors.Join(err, lockErr)
			}
			t.libxdp = lock
			defer func() {
				lock.Unlock()
				t.libxdp = nil
			}()
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(time.Millisecond << try):
		}
	}
}

// withLibxdp tells whether libxdp's tools have their part in what is on the interface:
// a dispatcher, or nothing where one of ours was.
func (t *tenure) withLibxdp() bool {
	found, err := t.node.findLibxdp(t.rec, t.iface)
	if err != nil {
		return false
	}
	defer found.close()
	if found != nil {
		return true
	}
	attached, err := t.attached()
	return err == nil && attached.ProgramID == 0 && t.hasLibxdp()
}

// hasLibxdp tells whether the chain is recorded to be one of libxdp's protocol.
func (t *tenure) hasLibxdp() bool {
	return t.rec != nil && t.rec.State != nil && t.rec.State.Dispatcher == chain.DispatcherLibxdp
}
