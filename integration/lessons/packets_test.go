// SPDX-License-Identifier: Apache-2.0

package lessons

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/xdp-chain/xdp-chain/internal/plugintest"
)

// stacks are what a packet can lie behind.
var stacks = map[string][]uint16{
	"untagged": nil,
	"VLAN":     {typeVLAN, 7},
	"QinQ":     {typeService, 7, typeVLAN, 8},
}

// families are the addresses of one host and the other.
var families = map[string]struct {
	from, to  netip.Addr
	etherType uint16
	request   byte // of an echo
	reply     byte
	header    int
}{
	"IPv4": {v4From, v4To, typeIPv4, 8, 0, 20},
	"IPv6": {v6From, v6To, typeIPv6, 128, 129, 40},
}

// packet01-parsing: of echo requests those with an odd sequence number are dropped.
func TestParsing(t *testing.T) {
	eachDispatcher(t, func(t *testing.T, dispatcher string) {
		p := plugintest.WiredPod(t, 0)
		chain(t, p, dispatcher, front(), member(t, "parsing.o", "drop_odd_echoes", nil), behind(t))
		var through [][]byte
		for name, f := range families {
			for stack, tags := range stacks {
				t.Run(name+" "+stack, func(t *testing.T) {
					var sent, want [][]byte
					for sequence := range uint16(6) {
						sent = append(sent, ethernet(there, here, f.etherType, echo(f.from, f.to, f.request, sequence), tags...))
						if sequence%2 == 0 {
							want = append(want, sent[sequence])
						}
					}
					// What is no request passes.
					reply := ethernet(there, here, f.etherType, echo(f.from, f.to, f.reply, 7), tags...)
					want = append(want, reply)
					wantThrough(t, p, want, append(sent, reply)...)
					through = append(through, want...)
				})
			}
		}
		wantTallies(t, mapOf(t, p, "pod", "behind", "tallies"), tallied(pass, through...))
		wantDecided(t, p, dispatcher, "pod", "drop-odd-echoes", "drop", 3*uint64(len(families)*len(stacks)))
	})
}

// packet02-rewriting: UDP and TCP arrive one port below, with right checksums.
func TestRewritingPorts(t *testing.T) {
	eachDispatcher(t, func(t *testing.T, dispatcher string) {
		p := plugintest.WiredPod(t, 0)
		chain(t, p, dispatcher, front(), member(t, "ports.o", "lower_port", nil), behind(t))
		for name, f := range families {
			for stack, tags := range stacks {
				for _, port := range []uint16{2000, 0x100} {
					t.Run(fmt.Sprint(name, stack, port), func(t *testing.T) {
						links := 14 + 2*len(tags)
						for checksum, packet := range map[int][]byte{6: datagram(f.from, f.to, port), 16: segment(f.from, f.to, port)} {
							got := arrivesAs(t, p, ethernet(there, here, f.etherType, packet, tags...))[links:]
							want := withPort(packet, f.header, checksum, port-1)
							if diff := cmp.Diff(want, got); diff != "" || transportSum(got) != 0 {
								t.Errorf("its checksum is off by %#x (-want +got):\n%s", transportSum(got), diff)
							}
						}
						unsummed := datagram(f.from, f.to, port)
						copy(unsummed[f.header+6:], []byte{0, 0})
						want := bytes.Clone(unsummed)
						binary.BigEndian.PutUint16(want[f.header+2:], port-1)
						if diff := cmp.Diff(want, arrivesAs(t, p, ethernet(there, here, f.etherType, unsummed, tags...))[links:]); diff != "" {
							t.Errorf("without a checksum (-want +got):\n%s", diff)
						}
					})
				}
			}
		}
	})
}

// withPort is a UDP or TCP packet to another port. The checksum is that far in its header.
func withPort(packet []byte, header, checksum int, port uint16) []byte {
	packet = bytes.Clone(packet)
	binary.BigEndian.PutUint16(packet[header+2:], port)
	copy(packet[header+checksum:], []byte{0, 0})
	binary.BigEndian.PutUint16(packet[header+checksum:], transportSum(packet))
	return packet
}

// arrivesAs sends a frame to a pod and returns what arrives of it.
func arrivesAs(t *testing.T, p *plugintest.Pod, frame []byte) []byte {
	t.Helper()
	tp := listenInside(t, p)
	send(t, p, frame)
	frames := tp.until(t, frame)
	return frames[len(frames)-1]
}

// packet02-rewriting: the outermost VLAN tag goes, and where there is none one comes.
func TestRewritingTags(t *testing.T) {
	eachDispatcher(t, func(t *testing.T, dispatcher string) {
		p := plugintest.WiredPod(t, 0)
		chain(t, p, dispatcher, front(), member(t, "vlan.o", "toggle_tag", fields{"globals": fields{"vlan": 42}}), behind(t))
		for name, f := range families {
			packet := echo(f.from, f.to, f.request, 1)
			for stack, tags := range stacks {
				want := []uint16{typeVLAN, 42}
				if len(tags) > 0 {
					want = tags[2:]
				}
				t.Run(name+" "+stack, func(t *testing.T) {
					sent := ethernet(there, here, f.etherType, packet, tags...)
					wantThrough(t, p, [][]byte{ethernet(there, here, f.etherType, packet, want...)}, sent)
				})
			}
		}
	})
}

// packet03-redirecting: echo requests come back as replies.
func TestAnsweringEchoes(t *testing.T) {
	eachDispatcher(t, func(t *testing.T, dispatcher string) {
		p := plugintest.WiredPod(t, 0)
		// The other end needs native XDP, too, to take what XDP_TX sends.
		receiver := onHost(fields{"name": "pass"})[0]
		chain(t, p, dispatcher, front(), member(t, "echo.o", "answer_echoes", nil), behind(t), receiver)
		for name, f := range families {
			t.Run(name, func(t *testing.T) {
				request := ethernet(there, here, f.etherType, echo(f.from, f.to, f.request, 3))
				tp := listen(t, "", p.Host)
				send(t, p, request)
				frames := tp.until(t, request)
				want := slices.Clone(request)
				copy(want, ethernet(here, there, f.etherType, nil))
				copy(want[14+f.header-2*f.from.BitLen()/8:], slices.Concat(f.to.AsSlice(), f.from.AsSlice()))
				want[14+f.header] = f.reply
				copy(want[14+f.header+2:], []byte{0, 0})
				binary.BigEndian.PutUint16(want[14+f.header+2:], transportSum(want[14:]))
				if got := frames[len(frames)-1]; !bytes.Equal(got, want) {
					t.Errorf("the answer is\n%x, want\n%x", got, want)
				}
			})
		}
		other := asking(pass) // what is no request goes on
		wantThrough(t, p, [][]byte{other}, other)
		wantTallies(t, mapOf(t, p, "pod", "behind", "tallies"), tallied(pass, other))
		wantDecided(t, p, dispatcher, "pod", "answer-echoes", "tx", 2)
	})
}
