// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/xdp-chain/xdp-chain/integration/bench/report"
	"github.com/xdp-chain/xdp-chain/integration/bench/workload"
	"github.com/xdp-chain/xdp-chain/internal/config"
	"github.com/xdp-chain/xdp-chain/internal/node"
	"github.com/xdp-chain/xdp-chain/internal/node/resolve"
	"github.com/xdp-chain/xdp-chain/internal/record"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
)

const (
	// The addresses of the pod and of its peer on the host (RFC 5737).
	podAddress  = "192.0.2.2"
	hostAddress = "192.0.2.1"
	// tcpRun is how long a connection sends in one sample.
	tcpRun = time.Second
)

// stream is one way for a pod to receive TCP, and the rates it has reached.
type stream struct {
	name  string
	mode  chain.Mode
	bare  bool // without a chain
	rates []float64
}

// measureTCP compares what one TCP connection from the host to a pod carries
// without a chain and with one in either mode: native XDP on a veth turns off the
// software GSO of its peer (veth_xdp_set, drivers/net/veth.c).
func measureTCP(ctx context.Context, z sizes) (_ *report.Section, err error) {
	p, err := workload.NewPod("tcp")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, p.Remove()) }()
	server, err := serve(p)
	if err != nil {
		return nil, err
	}
	defer server.Close()
	streams := []*stream{
		{name: "without a chain", bare: true},
		{name: "chain of 1, native", mode: chain.ModeNative},
		{name: "chain of 1, generic", mode: chain.ModeGeneric},
	}
	for range z.tcpRounds {
		for _, i := range rand.Perm(len(streams)) {
			if err := streams[i].sample(ctx, p, server); err != nil {
				return nil, fmt.Errorf("%s: %w", streams[i].name, err)
			}
		}
	}
	s := &report.Section{Name: "tcp", Title: fmt.Sprintf("One TCP connection into a pod, best of %d runs", z.tcpRounds)}
	var base *report.Figure
	for _, st := range streams {
		f := s.Add(st.name, best(st.rates), "Gbit/s")
		if base == nil {
			base = f
			continue
		}
		f.Against(base)
	}
	return s, nil
}

// serve gives both ends addresses and listens in the pod.
func serve(p *workload.Pod) (net.Listener, error) {
	if err := address(p.Name, hostAddress); err != nil {
		return nil, err
	}
	var server net.Listener
	err := p.Do(func() error {
		if err := address(workload.PodInterface, podAddress); err != nil {
			return err
		}
		var err error
		server, err = net.Listen("tcp", net.JoinHostPort(podAddress, "5001"))
		return err
	})
	return server, err
}

func address(name, ip string) error {
	l, err := netlink.LinkByName(name)
	if err != nil {
		return err
	}
	addr, err := netlink.ParseAddr(ip + "/24")
	if err != nil {
		return err
	}
	return netlink.AddrAdd(l, addr)
}

// sample sends for a while, with the chain in place that the stream is about.
func (st *stream) sample(ctx context.Context, p *workload.Pod, server net.Listener) (err error) {
	if !st.bare {
		n := node.Default()
		a := resolve.Attachment{
			Owner: record.Owner{Network: network, ContainerID: p.Name, Ifname: workload.PodInterface}, NetNS: p.Path,
			Requested: config.Requested{Mode: st.mode}, Counters: true, Programs: workload.Programs(1),
		}
		if err := n.Apply(ctx, a); err != nil {
			return err
		}
		defer func() {
			err = errors.Join(err, n.Remove(context.WithoutCancel(ctx), a.Network, a.ContainerID, a.Ifname))
		}()
	}
	rate, err := send(server)
	st.rates = append(st.rates, rate)
	return err
}

// send sends over one connection for tcpRun and returns what the pod received, in
// Gbit/s.
func send(server net.Listener) (float64, error) {
	client, err := net.DialTimeout("tcp", server.Addr().String(), 5*time.Second)
	if err != nil {
		return 0, err
	}
	defer client.Close()
	pod, err := server.Accept()
	if err != nil {
		return 0, err
	}
	defer pod.Close()
	start := time.Now()
	if err := client.SetWriteDeadline(start.Add(tcpRun)); err != nil {
		return 0, err
	}
	go func() {
		block := make([]byte, 1<<17)
		for {
			if _, err := client.Write(block); err != nil { // the deadline
				client.Close()
				return
			}
		}
	}()
	received, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{pod}, make([]byte, 1<<17))
	return float64(received) * 8 / time.Since(start).Seconds() / 1e9, err
}

func best(rates []float64) float64 {
	var most float64
	for _, r := range rates {
		most = max(most, r)
	}
	return most
}
