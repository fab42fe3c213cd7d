// SPDX-License-Identifier: Apache-2.0

package netdev

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/vishvananda/netlink"

	"github.com/xdp-chain/xdp-chain/internal/testenv"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
)

func TestInterface(t *testing.T) {
	pod, _ := pair(t, 1400)
	var want netlink.Link
	if err := pod.NetNS.Do(func() (err error) {
		want, err = netlink.LinkByName("eth0")
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(&Interface{
		NetNS: pod.NetNS, Name: "eth0", Index: want.Attrs().Index, MTU: 1400, Kind: "veth", HardwareAddr: want.Attrs().HardwareAddr,
	}, pod, cmpopts.IgnoreUnexported(Interface{}, NetNS{})); diff != "" {
		t.Errorf("InterfaceByName (-want +got):\n%s", diff)
	}
	byIndex, err := pod.NetNS.InterfaceByIndex(pod.Index)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(pod, byIndex, cmp.AllowUnexported(Interface{}), cmpopts.IgnoreUnexported(NetNS{})); diff != "" {
		t.Errorf("InterfaceByIndex differs from InterfaceByName (-name +index):\n%s", diff)
	}
	if got, want := pod.Key(), (chain.Key{Cookie: pod.NetNS.Cookie(), Ifindex: pod.Index}); got != want {
		t.Errorf("Key = %v, want %v", got, want)
	}
}

func TestNoInterface(t *testing.T) {
	pod, _ := pair(t, 1500)
	_, byName := pod.NetNS.InterfaceByName("eth1")
	_, byLongName := pod.NetNS.InterfaceByName("eth0-and-then-some")
	_, byIndex := pod.NetNS.InterfaceByIndex(4000)
	for _, err := range []error{byName, byLongName, byIndex} {
		if !errors.Is(err, ErrNoInterface) || !strings.Contains(err.Error(), "lo, eth0") {
			t.Errorf("error %v; want ErrNoInterface with the interfaces there are", err)
		}
	}
}

func TestPeer(t *testing.T) {
	pod, host := pair(t, 1500)
	for _, end := range []struct{ from, to *Interface }{{pod, host}, {host, pod}} {
		peer, err := end.from.Peer(end.to.NetNS)
		if err != nil {
			t.Fatal(err)
		}
		if peer.Index != end.to.Index || peer.Name != end.to.Name || peer.NetNS != end.to.NetNS {
			t.Errorf("peer of %s = %+v, want %+v", end.from.Name, peer, end.to)
		}
	}
}

func TestPeerInTheSameNamespace(t *testing.T) {
	left := add(t, &netlink.Veth{LinkAttrs: attrs("left"), PeerName: "right"})
	peer, err := left.Peer(current(t))
	if err != nil || peer.Name != "right" {
		t.Errorf("peer of left = %v, %v; want right", peer, err)
	}
	if _, err := left.Peer(open(t, testenv.NewNetNS(t))); !errors.Is(err, ErrNoInterface) {
		t.Errorf("peer of left looked for elsewhere: %v; want ErrNoInterface", err)
	}
}

// Both ends of this pair have the same index, which some kernels then leave out of the
// message.
func TestPeerWithTheSameIndex(t *testing.T) {
	a, b := testenv.NewNetNS(t), testenv.NewNetNS(t)
	in := open(t, a)
	if err := in.Do(func() error {
		return netlink.LinkAdd(&netlink.Veth{LinkAttrs: attrs("eth0"), PeerName: "eth0", PeerNamespace: netlink.NsFd(int(open(t, b).handle.Fd()))})
	}); err != nil {
		t.Fatal(err)
	}
	i := byName(t, in, "eth0")
	peer, err := i.Peer(open(t, b))
	if err != nil || peer.Index != i.Index {
		t.Errorf("peer of eth0 (index %d) = %+v, %v; want one with the same index", i.Index, peer, err)
	}
}

func TestPeerOfWhatIsNoVeth(t *testing.T) {
	for _, i := range []*Interface{
		add(t, &netlink.Bridge{LinkAttrs: attrs("br0")}),
		add(t, &netlink.Ifb{LinkAttrs: attrs("ifb9")}),
		add(t, &netlink.Tuntap{LinkAttrs: attrs("tap0"), Mode: netlink.TUNTAP_MODE_TAP}),
		byName(t, current(t), "lo"),
	} {
		_, err := i.Peer(current(t))
		if !errors.Is(err, ErrNotVeth) || !strings.Contains(err.Error(), i.Kind) {
			t.Errorf("peer of %s: %v; want ErrNotVeth naming its kind %s", i.Name, err, i.Kind)
		}
	}
}

func TestPeerOfAMovedVeth(t *testing.T) {
	pod, host := pair(t, 1500)
	third := open(t, testenv.NewNetNS(t))
	// So that something else has the peer's old index in the third namespace.
	if err := third.Do(func() error {
		decoy := attrs("decoy")
		decoy.Index = host.Index
		return netlink.LinkAdd(&netlink.Ifb{LinkAttrs: decoy})
	}); err != nil {
		t.Fatal(err)
	}
	if err := netlink.LinkSetNsFd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Index: host.Index}}, int(third.handle.Fd())); err != nil {
		t.Fatal(err)
	}
	moved := byName(t, third, host.Name)
	now := byName(t, pod.NetNS, "eth0")
	if peer, err := now.Peer(third); err != nil || peer.Index != moved.Index {
		t.Errorf("peer after the move = %+v, %v; want index %d", peer, err, moved.Index)
	}
	if _, err := now.Peer(host.NetNS); !errors.Is(err, ErrNoInterface) {
		t.Errorf("peer looked for where it was: %v; want ErrNoInterface", err)
	}
	// What was looked up before the move must not lead to the decoy.
	if peer, err := pod.Peer(third); !errors.Is(err, ErrNoInterface) {
		t.Errorf("peer by what was known before the move = %+v, %v; want ErrNoInterface", peer, err)
	}
	if peer, err := pod.Peer(host.NetNS); !errors.Is(err, ErrNoInterface) {
		t.Errorf("peer by what was known before the move, where it was = %+v, %v; want ErrNoInterface", peer, err)
	}
}

func TestPeerGone(t *testing.T) {
	pod, host := pair(t, 1500)
	if err := netlink.LinkDel(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Index: host.Index}}); err != nil {
		t.Fatal(err)
	}
	if _, err := pod.Peer(host.NetNS); !errors.Is(err, ErrNoInterface) {
		t.Errorf("peer that is gone: %v; want ErrNoInterface", err)
	}
}
