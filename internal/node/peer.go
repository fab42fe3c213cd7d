// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/cilium/ebpf"

	"github.com/xdp-chain/xdp-chain/internal/config"
	"github.com/xdp-chain/xdp-chain/internal/record"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
	"github.com/xdp-chain/xdp-chain/pkg/netdev"
)

// transmits tells whether a generation sends packets back that the other end of the
// veth pair takes only while it polls (NAPI). In generic mode they go the way of every
// packet that is sent.
func (t *tenure) transmits(s *record.State) bool {
	isVeth := t.iface == nil || t.iface.Kind == "veth" // an interface that cannot be found may be one
	return s != nil && isVeth && s.Mode != chain.ModeGeneric && s.Requested.PeerNapi == config.PeerNapiAuto &&
		slices.ContainsFunc(s.Members, func(m record.Member) bool { return m.Transmits })
}

// pollsByGRO tells whether GRO at the other end makes that take what a generation
// transmits. It takes what is redirected, which the linked dispatcher makes of the
// verdict tx; what libxdp's sends by XDP_TX would not wake it.
func (t *tenure) pollsByGRO(s *record.State) (bool, error) {
	if !t.transmits(s) || s.Dispatcher == chain.DispatcherLibxdp {
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
func (t *tenure) otherEnd() (*netdev.Interface, error) {
	paths := []string{netdev.CurrentPath, t.rec.NetNS, t.pod}
	if t.rec.PeerGRO != nil {
		paths = append(paths, t.rec.PeerGRO.NetNS)
	}
	peer, err := t.otherEndIn(paths)
	if peer != nil || err != nil {
		return peer, err
	}
	if paths, err = netdev.Namespaces(); err == nil {
		peer, err = t.otherEndIn(paths)
	}
	if peer != nil || err != nil {
		return peer, err
	}
	return nil, fmt.Errorf(`%w: the other end of %s, which has to poll (NAPI) for what members transmit, is in no network namespace that is known here; use peerNapi "off", and turn GRO on there`,
		netdev.ErrNoInterface, t.iface.Name)
}

// otherEndIn returns nil where none of the namespaces has it.
func (t *tenure) otherEndIn(paths []string) (*netdev.Interface, error) {
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
		peer, err := t.iface.Peer(ns)
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

// checkPeer returns nil where the other end takes what the chain on a site transmits.
// Where GRO does not make it poll, a native XDP program does, whoever has put it there.
func (n *Node) checkPeer(ctx context.Context, a *Attachment, s site, want []wanted) error {
	if !slices.ContainsFunc(want, func(w wanted) bool { return w.Transmits }) {
		return nil
	}
	t, err := n.hold(ctx, s.iface.Key(), s.iface)
	if err != nil {
		return err
	}
	defer t.release()
	t.pod = a.NetNS
	if t.rec == nil {
		return nil
	}
	peer, err := t.deafPeer(t.rec.State)
	if peer == "" || err != nil {
		return err
	}
	return fmt.Errorf(`%s (side %s) transmits, and %s, its other end, %s; put one there, such as {"name": "pass"} on that side, or use mode generic: %w`,
		s.iface.Name, s.side, peer, withoutProgram, ebpf.ErrNotSupported)
}

// deafPeer returns the name of the other end where it takes nothing of what a generation
// transmits, since neither GRO nor a native program makes it poll; else nothing.
func (t *tenure) deafPeer(s *record.State) (string, error) {
	byGRO, err := t.pollsByGRO(s)
	if !t.transmits(s) || byGRO || err != nil {
		return "", err
	}
	peer, err := t.otherEnd()
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
func (t *tenure) peerDifferences() ([]string, error) {
	s := t.rec.State
	if !t.transmits(s) {
		return nil, nil
	}
	byGRO, err := t.pollsByGRO(s)
	if err != nil {
		return nil, err
	}
	peer, err := t.otherEnd()
	if errors.Is(err, netdev.ErrNoInterface) {
		return []string{err.Error()}, nil
	}
	if err != nil {
		return nil, err
	}
	defer peer.NetNS.Close()
	if byGRO {
		on, err := peer.GRO()
		if on || err != nil {
			return nil, err
		}
		return []string{fmt.Sprintf("GRO is off at %s, its other end, so that what members transmit is lost (ethtool -K %[1]s gro on)", peer.Name)}, nil
	}
	if native, err := carriesNative(peer); native || err != nil {
		return nil, err
	}
	return []string{fmt.Sprintf("members transmit, and %s, its other end, %s", peer.Name, withoutProgram)}, nil
}

func carriesNative(i *netdev.Interface) (bool, error) {
	attached, err := i.Attached()
	return attached.ProgramID != 0 && attached.Mode == chain.ModeNative, err
}
