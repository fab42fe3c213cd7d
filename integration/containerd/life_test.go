// SPDX-License-Identifier: Apache-2.0

package containerd

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/xdp-chain/xdp-chain/internal/plugintest"
)

// A pod's whole life, with the chain that the conflist names.
func TestLife(t *testing.T) {
	onEach(t, func(t *testing.T, containerd string) {
		s := serve(t, containerd, chained(nil, fields{"name": "count", "priority": 1}, closing()))
		p := s.mustRun(t, "web", nil)
		c := p.ChainOn(t, "pod")
		wantOwner := []plugintest.ListedOwner{{
			Kind: "attachment", Network: plugintest.Network, ContainerID: p.ID, Ifname: "eth0",
			PodNamespace: "shop", PodName: "web",
		}}
		if diff := cmp.Diff(wantOwner, c.Owners); diff != "" {
			t.Errorf("owners (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff([]string{"count", "acl"}, c.MemberNames()); diff != "" {
			t.Errorf("members (-want +got):\n%s", diff)
		}
		wantFiltered(t, p)
		s.mustRemove(t, p.ID)
		s.wantNothing(t)
	})
}

// The namespaces of the configuration are Kubernetes'. A pod that is left out gets
// no chain, and nothing of it is left either.
func TestNamespaces(t *testing.T) {
	for _, tt := range []struct {
		name       string
		namespaces fields
	}{
		{"exclude", fields{"exclude": []string{"kube-system"}}},
		{"include", fields{"include": []string{"shop"}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			onEach(t, func(t *testing.T, containerd string) {
				s := serve(t, containerd, chained(fields{"namespaces": tt.namespaces}, closing()))
				with := s.mustRun(t, "web", nil)
				out := podConfig("kube-system", "web", nil)
				id, err := s.run(out)
				if err != nil {
					t.Fatalf("running a pod that is left out: %v", err)
				}
				without := s.pod(t, id, out)
				wantFiltered(t, with)
				if on := without.XDP(t); on != (plugintest.XDP{}) {
					t.Errorf("the pod that is left out has %+v on its interface", on)
				}
				s.mustRemove(t, with.ID)
				s.mustRemove(t, without.ID)
				s.wantNothing(t)
			})
		})
	}
}

// The chain is there before the first instruction of the pod's first container, the
// sandbox's. Datagrams to a port that the chain closes are sent all the while. What
// the sandbox container sees first is that the pod's interface has received some
// that did not come through, and from then on none comes through at all: the count
// of datagrams to ports where nobody listens stands still.
func TestChainBeforeFirstInstruction(t *testing.T) {
	onEach(t, func(t *testing.T, containerd string) {
		n := chained(nil, closing())
		n.addresses = 1 // so that it is known where to send
		s := serve(t, containerd, n)
		flood(t, address(0), closedPort)
		p := s.mustRun(t, "web", nil)

		atReturn := p.StatsOn(t, "pod").Packets("acl", "drop")
		if atReturn == 0 {
			t.Error("acl had dropped nothing when RunPodSandbox returned")
		}
		first := parseView(t, s.firstLook(t, p))
		later := parseView(t, s.output(t, p, "main", look))
		t.Logf("at the first instruction %+v, acl had dropped %d when RunPodSandbox returned, in a container %+v", first, atReturn, later)
		if kept := first.received - first.delivered; kept < 10 {
			t.Errorf("at the first instruction the chain had kept at most %d packets from the pod, want 10 at least", kept)
		}
		if later.refused != first.refused {
			t.Errorf("%d datagrams came through after the first instruction", later.refused-first.refused)
		}
		if later.received < first.received+10 {
			t.Errorf("the flood ended: %d packets at the first instruction, %d later", first.received, later.received)
		}

		// The count moves where the chain lets through what nobody listens for.
		send(t, p, openPort, 5)
		after := parseView(t, s.output(t, p, "again", look))
		if got := after.refused - first.refused; got != 5 {
			t.Errorf("of 5 datagrams to a port that is open and unused the pod saw %d", got)
		}
		s.mustRemove(t, p.ID)
	})
}

// firstLook returns what the pod's sandbox container saw first.
func (s *server) firstLook(t *testing.T, p *pod) string {
	t.Helper()
	var content []byte
	s.await(t, 10*time.Second, "the sandbox container has looked", func(context.Context) (bool, string) {
		var err error
		content, err = os.ReadFile(fmt.Sprintf("/proc/%d/root%s", p.pid, firstLook))
		return err == nil, fmt.Sprint(err)
	})
	return string(content)
}

// view is what look shows of a pod's network.
type view struct {
	received  int // packets on eth0, those that a chain drops included
	delivered int // packets of IPv4 that got as far as the kernel's IP
	refused   int // datagrams of UDP to ports where nobody listens
}

// parseView reads the output of look: counters of /proc/net/snmp by their names in
// the line before, and eth0's second field in /proc/net/dev.
func parseView(t *testing.T, output string) (v view) {
	t.Helper()
	figures := make(map[string]int)
	var names []string
	for line := range strings.Lines(output) {
		// A container's log has a time, a stream and a tag in front.
		if _, rest, found := strings.Cut(line, " stdout F "); found {
			line = rest
		}
		words := strings.Fields(line)
		if len(words) < 3 {
			continue
		}
		for i, word := range words[1:] {
			if figure, err := strconv.Atoi(word); err == nil && words[0] == "eth0:" {
				figures[fmt.Sprint(words[0], i)] = figure
			} else if err == nil && i+1 < len(names) && names[0] == words[0] {
				figures[words[0]+names[i+1]] = figure
			}
		}
		names = words
	}
	for name, figure := range map[string]*int{"eth0:1": &v.received, "Ip:InReceives": &v.delivered, "Udp:NoPorts": &v.refused} {
		var found bool
		if *figure, found = figures[name]; !found {
			t.Fatalf("no %s in\n%s", name, output)
		}
	}
	return v
}

// flood sends datagrams to an address until the end of the test, from now on: until
// the address is there, and after it is gone, they reach nobody.
func flood(t *testing.T, ip string, port uint16) {
	t.Helper()
	conn, err := net.ListenPacket("udp", "")
	if err != nil {
		t.Fatal(err)
	}
	to := net.UDPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(ip), port))
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			case <-time.After(200 * time.Microsecond):
				_, _ = conn.WriteTo([]byte("early"), to) // no route and no host, for a while
			}
		}
	}()
	t.Cleanup(func() {
		close(stop)
		<-stopped
		conn.Close()
	})
}
