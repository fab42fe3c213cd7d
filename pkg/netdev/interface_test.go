// SPDX-License-Identifier: Apache-2.0

package netdev

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/vishvananda/netlink"

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
