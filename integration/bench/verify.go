// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/xdp-chain/xdp-chain/internal/config"
	"github.com/xdp-chain/xdp-chain/internal/node"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
)

// droppingAt is the chain of ten of the i-th pod, of which another member drops
// everything than in its neighbours' chains; in every eleventh none does.
func droppingAt(i int) []config.Program {
	list := programs(10)
	if at := i % (len(list) + 1); at < len(list) {
		list[at].Object, list[at].Function = dropPath, "drop"
	}
	return list
}

// decision is what a chain of [droppingAt] does with its one packet.
func decision(i int) chain.Count {
	if at := i % 11; at < 10 {
		return chain.Count{Member: memberName(at), Verdict: chain.VerdictDrop, Packets: 1}
	}
	return chain.Count{Member: chain.EndMember, Verdict: chain.VerdictPass, Packets: 1}
}

// check makes sure that each pod has its own chain: all members in order, as the
// verb CHECK says too, and of one packet what that chain alone decides.
func (b *burst) check() error {
	for i, p := range b.pods {
		if _, err := b.ours.each[i].(*plugin).run("CHECK"); err != nil {
			return err
		}
		if err := p.sendOne(); err != nil {
			return fmt.Errorf("sending a packet into pod %s: %w", p.name, err)
		}
	}
	n := node.Default()
	chains, err := n.List()
	if err != nil {
		return err
	}
	keys := make(map[string]chain.Key)
	for _, c := range chains {
		if len(c.Owners) != 1 || !slices.Equal(names(c.Members), memberNames(10)) {
			return fmt.Errorf("chain %s of %v has the members %v", c.Key, c.Owners, names(c.Members))
		}
		keys[c.Owners[0].ContainerID] = c.Key
	}
	if len(chains) != len(b.pods) || len(keys) != len(b.pods) {
		return fmt.Errorf("%d pods have %d chains, of %d owners", len(b.pods), len(chains), len(keys))
	}
	return b.checkCounts(n, keys)
}

// checkCounts waits until each chain has counted its packet, which the kernel
// hands over when it comes to it.
func (b *burst) checkCounts(n *node.Node, keys map[string]chain.Key) error {
	deadline := time.Now().Add(5 * time.Second)
	for {
		all, err := n.Stats()
		if err != nil {
			return err
		}
		rows := make(map[chain.Key][]chain.Count)
		for _, s := range all {
			rows[s.Key] = s.Rows
		}
		var wrong []error
		for i, p := range b.pods {
			if got, want := rows[keys[p.name]], []chain.Count{decision(i)}; !slices.Equal(got, want) {
				wrong = append(wrong, fmt.Errorf("pod %s: one packet is counted as %v, want %v", p.name, got, want))
			}
		}
		if len(wrong) == 0 {
			return nil
		}
		if time.Now().After(deadline) {
			return errors.Join(wrong...)
		}
		time.Sleep(settle)
	}
}

// sendOne sends one packet out of the veth's end on the host.
func (p *pod) sendOne() error {
	host, err := net.InterfaceByName(p.name)
	if err != nil {
		return err
	}
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return unix.Sendto(fd, newFrame(), 0, &unix.SockaddrLinklayer{Ifindex: host.Index})
}

func names(members []node.ChainMember) []string {
	list := make([]string, len(members))
	for i, m := range members {
		list[i] = m.Name
	}
	return list
}

// memberNames are those of [programs].
func memberNames(n int) []string {
	list := make([]string, n)
	for i := range list {
		list[i] = memberName(i)
	}
	return list
}
