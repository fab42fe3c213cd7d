// SPDX-License-Identifier: Apache-2.0

package node

import (
	"errors"
	"fmt"

	"github.com/xdp-chain/xdp-chain/internal/record"
	"github.com/xdp-chain/xdp-chain/pkg/netdev"
)

// polled is the other end of a veth pair that is to have GRO on for a generation; nil
// where none is needed.
type polled struct{ iface *netdev.Interface }

// notePeer writes into the record, without saving it, at which interface a generation
// needs GRO and whether it was on before we came.
func (t *tenure) notePeer(next *record.State) (*polled, error) {
	byGRO, err := t.pollsByGRO(next)
	if !byGRO || err != nil {
		return nil, err
	}
	iface, err := t.otherEnd()
	if err != nil {
		return nil, err
	}
	// Whoever restores it may be another process, after those of the pod have ended.
	netns, lasting := iface.NetNS.LastingPath()
	on, err := iface.GRO()
	if err = errors.Join(lasting, err); err != nil {
		iface.NetNS.Close()
		return nil, err
	}
	before := t.rec.PeerGRO
	t.rec.PeerGRO = &record.PeerGRO{
		Key: iface.Key(), Interface: iface.Name, NetNS: netns,
		WasOff: !on || before != nil && before.WasOff,
	}
	return &polled{iface}, nil
}

// poll turns GRO on, which the record says already.
func (p *polled) poll() error {
	if p == nil {
		return nil
	}
	return p.iface.SetGRO(true)
}

func (p *polled) close() {
	if p != nil {
		p.iface.NetNS.Close()
	}
}

// settlePeer turns GRO at the other end off again where it is on for a generation that
// does not run. Dies after it: GRO is off, and the record is told by the next tenure.
func (t *tenure) settlePeer() error {
	if t.rec.PeerGRO == nil {
		return nil
	}
	needed, err := t.pollsByGRO(t.rec.State)
	if needed || err != nil {
		return err
	}
	if err := t.restorePeer(); err != nil {
		return err
	}
	t.rec.PeerGRO = nil
	return t.node.Records.Save(t.lock, t.rec)
}

// restorePeer turns GRO at the other end off if it was off before we came. It may have
// been turned off, or the interface may be gone, since.
func (t *tenure) restorePeer() error {
	if t.rec == nil || t.rec.PeerGRO == nil || !t.rec.PeerGRO.WasOff {
		return nil
	}
	peer := t.rec.PeerGRO
	iface, err := reopenAt(peer.NetNS, peer.Key)
	if iface == nil || err != nil {
		return err
	}
	defer iface.NetNS.Close()
	if err := iface.SetGRO(false); err != nil && !errors.Is(err, netdev.ErrNoInterface) {
		return fmt.Errorf("restoring what %s was before members transmitted: %w", peer.Interface, err)
	}
	return nil
}
