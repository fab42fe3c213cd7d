// SPDX-License-Identifier: Apache-2.0

package change

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/cilium/ebpf"

	"github.com/xdp-chain/xdp-chain/internal/config"
	"github.com/xdp-chain/xdp-chain/internal/node/resolve"
	"github.com/xdp-chain/xdp-chain/internal/node/state"
	"github.com/xdp-chain/xdp-chain/internal/record"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
	"github.com/xdp-chain/xdp-chain/pkg/netdev"
)

// transmits tells whether a generation sends packets back that the other end of the
// veth pair takes only while it polls (NAPI). In generic mode they go the way of every
// packet that is sent.
func (lc *LockedChain) transmits(s *record.State) bool {
	isVeth := lc.iface == nil || lc.iface.Kind == "veth" // an interface that cannot be found may be one
	return s != nil && isVeth && s.Mode != chain.ModeGeneric && s.Requested.PeerNapi == config.PeerNapiAuto &&
		slices.ContainsFunc(s.Members, func(m record.Member) bool { return m.Transmits })
}

// pollsByGRO tells whether GRO at the other end makes that take what a generation
// transmits. It takes what is redirected, which the linked dispatcher makes of the
// verdict tx; what libxdp's sends by XDP_TX would not wake it.
func (lc *LockedChain) pollsByGRO(s *record.State) (bool, error) {
	if !lc.transmits(s) || s.Dispatcher == chain.DispatcherLibxdp {
		return false, nil
	}
	err := netdev.HaveGROPolling()
	if errors.Is(err, ebpf.ErrNotSupported) {
		return false, nil
	}
	return err == nil, err
}

// otherEnd finds the other end of the veth pair in the namespaces that may have it: first
// those that have to do with the chain, then, since an interface that an operator names may
// be the end of any pair, all that can be found. The caller closes the namespace.
func (lc *LockedChain) otherEnd() (*netdev.Interface, error) {
	paths := []string{netdev.CurrentPath, lc.rec.NetNS, lc.pod}
	if lc.rec.PeerGRO != nil {
		paths = append(paths, lc.rec.PeerGRO.NetNS)
	}
	peer, err := lc.otherEndIn(paths)
	if peer != nil || err != nil {
		return peer, err
	}
	if paths, err = netdev.Namespaces(); err == nil {
		peer, err = lc.otherEndIn(paths)
	}
	if peer != nil || err != nil {
		return peer, err
	}
	return nil, fmt.Errorf(`%w: the other end of %s, which has to poll (NAPI) for what members transmit, is in no network namespace that is known here; use peerNapi "off", and turn GRO on there`,
		netdev.ErrNoInterface, lc.iface.Name)
}

// otherEndIn returns nil where none of the namespaces has it.
func (lc *LockedChain) otherEndIn(paths []string) (*netdev.Interface, error) {
	for i, path := range paths {
		if path == "" || slices.Contains(paths[:i], path) {
			continue
		}
		ns, err := netdev.OpenNetNS(path)
		if errors.Is(err, netdev.ErrNetNSGone) {
			continue
		}
		if err != nil {
			return nil, err
		}
		peer, err := lc.iface.Peer(ns)
		if err == nil {
			return peer, nil
		}
		ns.Close()
		if !errors.Is(err, netdev.ErrNoInterface) {
			return nil, err
		}
	}
	return nil, nil
}

// CheckPeer returns nil where the other end takes what the chain on a site transmits.
// Where GRO does not make it poll, a native XDP program does, whoever has put it there.
func CheckPeer(ctx context.Context, n *state.Node, a *resolve.Attachment, target AttachTarget, want []resolve.Member) error {
	if !slices.ContainsFunc(want, func(w resolve.Member) bool { return w.Record.Transmits }) {
		return nil
	}
	lc, err := Lock(ctx, n, target.Interface.Key(), target.Interface)
	if err != nil {
		return err
	}
	defer lc.Unlock()
	lc.pod = a.NetNS
	if lc.rec == nil {
		return nil
	}
	peer, err := lc.peerWithoutNAPI(lc.rec.State)
	if peer == "" || err != nil {
		return err
	}
	return fmt.Errorf(`%s (side %s) transmits, and %s, its other end, %s; put one there, such as {"name": "pass"} on that side, or use mode generic: %w`,
		target.Interface.Name, target.Side, peer, withoutProgram, ebpf.ErrNotSupported)
}

// peerWithoutNAPI returns the name of the other end where it takes nothing of what a generation
// transmits, since neither GRO nor a native program makes it poll; else nothing.
func (lc *LockedChain) peerWithoutNAPI(s *record.State) (string, error) {
	byGRO, err := lc.pollsByGRO(s)
	if !lc.transmits(s) || byGRO || err != nil {
		return "", err
	}
	peer, err := lc.otherEnd()
	if err != nil {
		return "", err
	}
	defer peer.NetNS.Close()
	if native, err := carriesNative(peer); native || err != nil {
		return "", err
	}
	return peer.Name, nil
}

// withoutProgram is what is wrong with an other end that GRO does not make poll.
const withoutProgram = "carries no native XDP program, without which it takes nothing of that (GRO does on kernels from 5.13 on, for the dispatcher linked)"

// peerDifferences says what keeps the other end from taking what the chain transmits.
func (lc *LockedChain) peerDifferences() ([]string, error) {
	byGRO, err := lc.pollsByGRO(lc.rec.State)
	if err != nil {
		return nil, err
	}
	difference := ""
	if byGRO {
		difference, err = lc.peerWithoutGRO()
	} else if name, napiErr := lc.peerWithoutNAPI(lc.rec.State); name != "" {
		difference = fmt.Sprintf("members transmit, and %s, its other end, %s", name, withoutProgram)
	} else {
		err = napiErr
	}
	switch {
	case errors.Is(err, netdev.ErrNoInterface):
		return []string{err.Error()}, nil
	case difference == "" || err != nil:
		return nil, err
	}
	return []string{difference}, nil
}

// peerWithoutGRO says that GRO is off at the other end, if it is.
func (lc *LockedChain) peerWithoutGRO() (string, error) {
	peer, err := lc.otherEnd()
	if err != nil {
		return "", err
	}
	defer peer.NetNS.Close()
	if on, err := peer.GRO(); on || err != nil {
		return "", err
	}
	return fmt.Sprintf("GRO is off at %s, its other end, so that what members transmit is lost (ethtool -K %[1]s gro on)", peer.Name), nil
}

func carriesNative(i *netdev.Interface) (bool, error) {
	attached, err := i.Attached()
	return attached.ProgramID != 0 && attached.Mode == chain.ModeNative, err
}

// groPeer is the other end of a veth pair that is to have GRO on for a generation; nil
// where none is needed.
type groPeer struct{ iface *netdev.Interface }

// notePeer writes into the record, without saving it, at which interface a generation
// needs GRO and whether it was on before we came.
func (lc *LockedChain) notePeer(next *record.State) (*groPeer, error) {
	byGRO, err := lc.pollsByGRO(next)
	if !byGRO || err != nil {
		return nil, err
	}
	iface, err := lc.otherEnd()
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
	before := lc.rec.PeerGRO
	lc.rec.PeerGRO = &record.PeerGRO{
		Key: iface.Key(), Interface: iface.Name, NetNS: netns,
		WasOff: !on || before != nil && before.WasOff,
	}
	return &groPeer{iface}, nil
}

// poll turns GRO on, which the record says already.
func (p *groPeer) poll() error {
	if p == nil {
		return nil
	}
	return p.iface.SetGRO(true)
}

func (p *groPeer) close() {
	if p != nil {
		p.iface.NetNS.Close()
	}
}

// finishPeer turns GRO at the other end off again where it is on for a generation that
// does not run. Dies after it: GRO is off, and the record is told by the next holder of the lock.
func (lc *LockedChain) finishPeer() error {
	if lc.rec.PeerGRO == nil {
		return nil
	}
	needed, err := lc.pollsByGRO(lc.rec.State)
	if needed || err != nil {
		return err
	}
	if err := lc.restorePeer(); err != nil {
		return err
	}
	lc.rec.PeerGRO = nil
	return lc.node.Records.Save(lc.lock, lc.rec)
}

// restorePeer turns GRO at the other end off if it was off before we came. It may have
// been turned off, or the interface may be gone, since.
func (lc *LockedChain) restorePeer() error {
	if lc.rec == nil || lc.rec.PeerGRO == nil || !lc.rec.PeerGRO.WasOff {
		return nil
	}
	peer := lc.rec.PeerGRO
	iface, err := state.ReopenAt(peer.NetNS, peer.Key)
	if iface == nil || err != nil {
		return err
	}
	defer iface.NetNS.Close()
	if err := iface.SetGRO(false); err != nil && !errors.Is(err, netdev.ErrNoInterface) {
		return fmt.Errorf("restoring what %s was before members transmitted: %w", peer.Interface, err)
	}
	return nil
}
