// SPDX-License-Identifier: Apache-2.0

package plugintest

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"github.com/xdp-chain/xdp-chain/internal/testenv"
)

// Pod is a container's network namespace and its names, as a runtime knows them.
type Pod struct {
	ID     string
	NetNS  string // path
	Ifname string
	Host   string // name of the veth's other end, where the test has made it
	Args   string // CNI_ARGS
	// Annotations are Kubernetes'. A runtime that goes by capabilities hands them over.
	Annotations map[string]string
}

var podCount atomic.Uint32

// NewPod makes a namespace with lo alone, for plugins to put an interface into.
func NewPod(t *testing.T) *Pod {
	t.Helper()
	n := podCount.Add(1)
	return &Pod{
		ID: fmt.Sprintf("pod-%d", n), NetNS: testenv.NewNetNS(t), Ifname: "eth0",
		Args: fmt.Sprintf("IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=web-%d", n),
	}
}

// WiredPod makes a pod whose veth pair is there already. mtu 0 is the kernel's
// 1500.
func WiredPod(t *testing.T, mtu int) *Pod {
	t.Helper()
	p := NewPod(t)
	p.Host = fmt.Sprintf("host%d", podCount.Load())
	testenv.Veth(t, p.NetNS, p.Ifname, p.Host, mtu)
	return p
}

// Inside calls f with a netlink handle of the pod's namespace.
func (p *Pod) Inside(t *testing.T, f func(*netlink.Handle) error) {
	t.Helper()
	ns, err := netns.GetFromPath(p.NetNS)
	if err != nil {
		t.Fatal(err)
	}
	defer ns.Close()
	// Without a family it wants all of them, and a kernel need not have XFRM.
	handle, err := netlink.NewHandleAt(ns, unix.NETLINK_ROUTE)
	if err != nil {
		t.Fatal(err)
	}
	defer handle.Close()
	if err := f(handle); err != nil {
		t.Fatal(err)
	}
}

// XDP is what netlink says about the XDP hook of an interface.
type XDP struct {
	Program uint32 // its id, 0 where there is none
	Mode    uint32 // nl.XDP_ATTACHED_DRV, nl.XDP_ATTACHED_SKB
}

// XDP returns what is on the pod's end.
func (p *Pod) XDP(t *testing.T) XDP {
	t.Helper()
	var on XDP
	p.Inside(t, func(h *netlink.Handle) error {
		link, err := h.LinkByName(p.Ifname)
		if err == nil {
			on = xdpOf(link)
		}
		return err
	})
	return on
}

// HostXDP returns what is on an interface of the host.
func HostXDP(t *testing.T, name string) XDP {
	t.Helper()
	link, err := netlink.LinkByName(name)
	if err != nil {
		t.Fatalf("finding %s: %v", name, err)
	}
	return xdpOf(link)
}

func xdpOf(link netlink.Link) XDP {
	if x := link.Attrs().Xdp; x != nil && x.Attached {
		return XDP{x.ProgId, x.AttachMode}
	}
	return XDP{}
}

// HostEnd returns the name of the veth's end on the host.
func (p *Pod) HostEnd(t *testing.T) string {
	t.Helper()
	if p.Host != "" {
		return p.Host
	}
	var index int
	p.Inside(t, func(h *netlink.Handle) error {
		link, err := h.LinkByName(p.Ifname)
		if err == nil {
			index = link.Attrs().ParentIndex
		}
		return err
	})
	iface, err := net.InterfaceByIndex(index)
	if err != nil {
		t.Fatalf("finding the host's end of %s: %v", p.Ifname, err)
	}
	return iface.Name
}

// PodName is the pod's name in args.
func (p *Pod) PodName() string {
	_, name, _ := strings.Cut(p.Args, "K8S_POD_NAME=")
	return name
}

// Vanish ends the pod's namespace and waits until its veth pair is gone: the kernel
// takes that apart some time after the last holder let go.
func (p *Pod) Vanish(t *testing.T) {
	t.Helper()
	testenv.RemoveNetNS(t, p.NetNS)
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		if _, err := netlink.LinkByName(p.Host); errors.As(err, new(netlink.LinkNotFoundError)) {
			return
		}
	}
	t.Fatalf("%s is still there, though the namespace of its peer is gone", p.Host)
}
