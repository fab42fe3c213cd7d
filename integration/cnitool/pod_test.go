// SPDX-License-Identifier: Apache-2.0

package cnitool

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

	"github.com/xdp-chain/xdp-chain/internal/testenv"
)

// pod is a container's network namespace and its names, as a runtime knows them.
type pod struct {
	id     string
	netns  string
	ifname string
	host   string // the veth's other end, where the test has made it
	args   string // CNI_ARGS
}

var podCount atomic.Uint32

// newPod makes a namespace with lo alone, for plugins to put an interface into.
func newPod(t *testing.T) *pod {
	t.Helper()
	n := podCount.Add(1)
	return &pod{
		id: fmt.Sprintf("pod-%d", n), netns: testenv.NewNetNS(t), ifname: "eth0",
		args: fmt.Sprintf("IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=web-%d", n),
	}
}

// wiredPod makes a pod whose veth pair is there already. mtu 0 is the kernel's
// 1500.
func wiredPod(t *testing.T, mtu int) *pod {
	t.Helper()
	p := newPod(t)
	p.host = fmt.Sprintf("host%d", podCount.Load())
	testenv.Veth(t, p.netns, p.ifname, p.host, mtu)
	return p
}

// inside calls f with a netlink handle of the pod's namespace.
func (p *pod) inside(t *testing.T, f func(*netlink.Handle) error) {
	t.Helper()
	ns, err := netns.GetFromPath(p.netns)
	if err != nil {
		t.Fatal(err)
	}
	defer ns.Close()
	handle, err := netlink.NewHandleAt(ns)
	if err != nil {
		t.Fatal(err)
	}
	defer handle.Close()
	if err := f(handle); err != nil {
		t.Fatal(err)
	}
}

// xdp is what netlink says about the XDP hook of an interface.
type xdp struct {
	program uint32
	mode    uint32 // nl.XDP_ATTACHED_DRV, nl.XDP_ATTACHED_SKB
}

// podXDP returns what is on the pod's end.
func (p *pod) podXDP(t *testing.T) xdp {
	t.Helper()
	var on xdp
	p.inside(t, func(h *netlink.Handle) error {
		link, err := h.LinkByName(p.ifname)
		if err == nil {
			on = xdpOf(link)
		}
		return err
	})
	return on
}

// hostXDP returns what is on an interface of the host.
func hostXDP(t *testing.T, name string) xdp {
	t.Helper()
	link, err := netlink.LinkByName(name)
	if err != nil {
		t.Fatalf("finding %s: %v", name, err)
	}
	return xdpOf(link)
}

func xdpOf(link netlink.Link) xdp {
	if x := link.Attrs().Xdp; x != nil && x.Attached {
		return xdp{x.ProgId, x.AttachMode}
	}
	return xdp{}
}

// hostEnd returns the name of the veth's end on the host.
func (p *pod) hostEnd(t *testing.T) string {
	t.Helper()
	if p.host != "" {
		return p.host
	}
	var index int
	p.inside(t, func(h *netlink.Handle) error {
		link, err := h.LinkByName(p.ifname)
		if err == nil {
			index = link.Attrs().ParentIndex
		}
		return err
	})
	iface, err := net.InterfaceByIndex(index)
	if err != nil {
		t.Fatalf("finding the host's end of %s: %v", p.ifname, err)
	}
	return iface.Name
}

// podName is the pod's name in args.
func (p *pod) podName() string {
	_, name, _ := strings.Cut(p.args, "K8S_POD_NAME=")
	return name
}

// vanish ends the pod's namespace and waits until its veth pair is gone: the kernel
// takes that apart some time after the last holder let go.
func (p *pod) vanish(t *testing.T) {
	t.Helper()
	testenv.RemoveNetNS(t, p.netns)
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		if _, err := netlink.LinkByName(p.host); errors.As(err, new(netlink.LinkNotFoundError)) {
			return
		}
	}
	t.Fatalf("%s is still there, though the namespace of its peer is gone", p.host)
}
