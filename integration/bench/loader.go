// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/vishvananda/netlink"

	"github.com/xdp-chain/xdp-chain/pkg/pin"
)

// loadByLoader has xdp-loader put n members on an interface, and takes the
// dispatcher from there.
func loadByLoader(ctx context.Context, n int) (_ *loaded, err error) {
	pod, err := newPod(fmt.Sprint("loader", n))
	if err != nil {
		return nil, err
	}
	l := &loaded{close: func() error { return unload(pod) }}
	defer func() {
		if err != nil {
			err = errors.Join(err, l.close())
		}
	}()
	args := []string{"load", "--prog-name", member, pod.name}
	for range n {
		args = append(args, objectPath)
	}
	if err := xdpLoader(ctx, args...); err != nil {
		return nil, err
	}
	host, err := netlink.LinkByName(pod.name)
	if err != nil {
		return nil, fmt.Errorf("finding %s: %w", pod.name, err)
	}
	xdp := host.Attrs().Xdp
	if xdp == nil || !xdp.Attached {
		return nil, fmt.Errorf("xdp-loader has put no program on %s", pod.name)
	}
	on := pin.Dispatch{Ifindex: host.Attrs().Index, ID: ebpf.ProgramID(xdp.ProgId)}
	if l.program, err = ebpf.NewProgramFromID(on.ID); err != nil {
		return nil, fmt.Errorf("opening program %d on %s: %w", on.ID, pod.name, err)
	}
	if l.members, err = (pin.Tree{Root: pin.DefaultRoot}).HostLibxdp().Programs(on); err != nil {
		return nil, err
	}
	l.close = func() error { return errors.Join(closeAll(append(l.members, l.program)), unload(pod)) }
	return l, nil
}

// unload takes off what xdp-loader has put on the pod's interface, and ends the pod.
func unload(p *pod) error {
	return errors.Join(xdpLoader(context.Background(), "unload", "--all", p.name), p.remove())
}

func xdpLoader(ctx context.Context, args ...string) error {
	out, err := exec.CommandContext(ctx, "xdp-loader", args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("xdp-loader %s: %w: %s", strings.Join(args, " "), err, bytes.TrimSpace(out))
	}
	return nil
}

func closeAll(programs []*ebpf.Program) error {
	var errs []error
	for _, p := range programs {
		errs = append(errs, p.Close())
	}
	return errors.Join(errs...)
}
