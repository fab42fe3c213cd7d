// SPDX-License-Identifier: Apache-2.0

package lessons

import (
	"bytes"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"

	"github.com/xdp-chain/xdp-chain/internal/plugintest"
	"github.com/xdp-chain/xdp-chain/internal/testenv"
)

// packet03-redirecting has two pods, each with its veth's end on the host, where the
// programs are: what one pod sends goes to the other. end is one of the pods.
type end struct {
	*plugintest.Pod
	ifindex         int // of the host's end
	outside, inside mac // of the host's end and of the pod's
}

func newEnd(t *testing.T) *end {
	t.Helper()
	e := &end{Pod: plugintest.WiredPod(t, 0)}
	link, err := net.InterfaceByName(e.Host)
	if err != nil {
		t.Fatal(err)
	}
	e.ifindex, e.outside = link.Index, mac(link.HardwareAddr)
	e.Inside(t, func(h *netlink.Handle) error {
		link, err := h.LinkByName(e.Ifname)
		if err == nil {
			e.inside = mac(link.Attrs().HardwareAddr)
		}
		return err
	})
	return e
}

// receive puts a program on the pod's end, without which that takes nothing that is
// redirected to it.
func receive(programs ...fields) []fields { return append(programs, fields{"name": "pass"}) }

// crosses sends a frame out of one pod and compares what arrives in the other.
func crosses(t *testing.T, from, to *end, sent, want []byte) {
	t.Helper()
	tp := listenInside(t, to.Pod)
	testenv.Send(t, from.NetNS, from.Ifname, sent)
	if diff := cmp.Diff([][]byte{want}, tp.until(t, sent)); diff != "" {
		t.Errorf("what arrives (-want +got):\n%s", diff)
	}
}

// between is a frame with other stations.
func between(to, from mac, frame []byte) []byte {
	return slices.Concat(to[:], from[:], frame[12:])
}

func text(m mac) string { return net.HardwareAddr(m[:]).String() }

// packet03-redirecting, by the index of an interface.
func TestRedirectToInterface(t *testing.T) {
	eachDispatcher(t, func(t *testing.T, dispatcher string) {
		left, right := newEnd(t), newEnd(t)
		chain(t, left.Pod, dispatcher, receive()...)
		redirect := member(t, "redirect.o", "to_interface", fields{"globals": fields{
			"ifindex": left.ifindex, "source": text(left.outside), "destination": text(left.inside),
		}})
		chain(t, right.Pod, dispatcher, onHost(front(), redirect, behind(t))...)
		for range 3 {
			sent := between(right.outside, right.inside, asking(pass))
			crosses(t, right, left, sent, between(left.inside, left.outside, sent))
		}
		wantEntered(t, right.Pod, "host", 3)
		wantTallies(t, mapOf(t, right.Pod, "host", "behind", "tallies"), tallied(pass))
		wantDecided(t, right.Pod, dispatcher, "host", "to-interface", "redirect", 3)
	})
}

// packet03-redirecting, by a devmap that the configuration fills, both ways.
func TestRedirectToPort(t *testing.T) {
	eachDispatcher(t, func(t *testing.T, dispatcher string) {
		left, right := newEnd(t), newEnd(t)
		for from, to := range map[*end]*end{left: right, right: left} {
			redirect := member(t, "redirect.o", "to_port", fields{"maps": fields{
				"ports":    fields{"entries": []fields{{"key": 0, "value": fields{"ifindex": to.ifindex}}}},
				"stations": fields{"entries": []fields{{"key": text(from.inside), "value": text(to.inside)}}},
			}})
			chain(t, from.Pod, dispatcher, receive(onHost(front(), redirect, behind(t))...)...)
		}
		for from, to := range map[*end]*end{left: right, right: left} {
			sent := between(from.outside, from.inside, asking(pass))
			crosses(t, from, to, sent, between(to.inside, from.inside, sent))
			wantDecided(t, from.Pod, dispatcher, "host", "to-port", "redirect", 1)
			// A station that is in no entry talks to the host.
			stranger := between(from.outside, here, asking(pass))
			tp := listen(t, "", from.Host)
			testenv.Send(t, from.NetNS, from.Ifname, stranger)
			tp.until(t, stranger)
			wantTallies(t, mapOf(t, from.Pod, "host", "behind", "tallies"), tallied(pass, stranger))
		}
	})
}

// packet03-redirecting, by the kernel's routing table.
func TestRedirectByRoute(t *testing.T) {
	eachDispatcher(t, func(t *testing.T, dispatcher string) {
		left, right := newEnd(t), newEnd(t)
		left.route(t, 1)
		right.route(t, 2)
		chain(t, left.Pod, dispatcher, receive()...)
		chain(t, right.Pod, dispatcher, onHost(front(), member(t, "redirect.o", "by_route", nil), behind(t))...)
		for name, f := range families {
			t.Run(name, func(t *testing.T) {
				packet := datagram(subnet(f.from, 2, 2), subnet(f.from, 1, 2), 2000)
				routed := bytes.Clone(packet)
				if f.from.Is4() {
					routed[8]--
					copy(routed[10:], []byte{0, 0})
					sum := checksum(routed[:20])
					routed[10], routed[11] = byte(sum>>8), byte(sum)
				} else {
					routed[7]--
				}
				crosses(t, right, left, ethernet(right.outside, right.inside, f.etherType, packet), ethernet(left.inside, left.outside, f.etherType, routed))

				// What is for the host itself passes.
				sent := ethernet(right.outside, right.inside, f.etherType, datagram(subnet(f.from, 2, 2), subnet(f.from, 2, 1), 2000))
				tp := listen(t, "", right.Host)
				testenv.Send(t, right.NetNS, right.Ifname, sent)
				if diff := cmp.Diff([][]byte{sent}, tp.until(t, sent)); diff != "" {
					t.Errorf("what the host gets (-want +got):\n%s", diff)
				}
			})
		}
		wantDecided(t, right.Pod, dispatcher, "host", "by-route", "redirect", 2)
	})
}

// subnet is the address of a host in one of the subnets that the pods are in, of the same
// family as another address.
func subnet(like netip.Addr, number, host byte) netip.Addr {
	if like.Is4() {
		return netip.AddrFrom4([4]byte{10, 88, number, host})
	}
	return netip.MustParseAddr(fmt.Sprintf("fd00:88:%d::%d", number, host))
}

// route makes the host the router of a subnet of the pod's.
func (e *end) route(t *testing.T, number byte) {
	t.Helper()
	testenv.InNetNS(t, "", func() error {
		for path, value := range map[string]string{
			"ipv6/conf/" + e.Host + "/disable_ipv6": "0",
			"ipv6/conf/" + e.Host + "/forwarding":   "1",
			"ipv6/conf/" + e.Host + "/accept_dad":   "0",
			"ipv4/conf/" + e.Host + "/forwarding":   "1",
		} {
			if err := os.WriteFile("/proc/sys/net/"+path, []byte(value), 0); err != nil {
				return err
			}
		}
		link, err := netlink.LinkByName(e.Host)
		if err != nil {
			return err
		}
		for _, f := range families {
			bits := 24
			if f.from.Is6() {
				bits = 64
			}
			own := &net.IPNet{IP: subnet(f.from, number, 1).AsSlice(), Mask: net.CIDRMask(bits, f.from.BitLen())}
			if err := netlink.AddrAdd(link, &netlink.Addr{IPNet: own}); err != nil {
				return err
			}
			if err := netlink.NeighSet(&netlink.Neigh{
				LinkIndex: e.ifindex, IP: subnet(f.from, number, 2).AsSlice(), HardwareAddr: e.inside[:], State: netlink.NUD_PERMANENT,
			}); err != nil {
				return err
			}
		}
		return nil
	})
}
