// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"

	"github.com/vishvananda/netlink"
)

// kernelSlots is how many programs the kernel's XDP dispatcher has room for
// (BPF_DISPATCHER_MAX, include/linux/bpf.h). While it has, each program that comes
// or goes waits for a grace period, one after another.
const kernelSlots = 48

// slots are programs that take all the room of the kernel's dispatcher.
type slots struct {
	pod   *pod
	links []*bare
}

// fillSlots attaches that many programs, to pairs of veths in a pod of that name. The
// kernel ends a pod some time after its removal, so the next ones need another name.
func fillSlots(name string) (s *slots, err error) {
	s = new(slots)
	if s.pod, err = newPod(name); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.remove())
		}
	}()
	for i := range kernelSlots / 2 {
		if err := s.fillTwo(i); err != nil {
			return nil, fmt.Errorf("filling the kernel's XDP dispatcher: %w", err)
		}
	}
	return s, nil
}

// fillTwo makes the i-th pair of veths and gives each end a program.
func (s *slots) fillTwo(i int) error {
	var ends [2]int
	err := s.pod.do(func() error {
		attrs := netlink.NewLinkAttrs()
		attrs.Name = fmt.Sprint("left", i)
		right := fmt.Sprint("right", i)
		if err := netlink.LinkAdd(&netlink.Veth{LinkAttrs: attrs, PeerName: right}); err != nil {
			return err
		}
		for i, name := range []string{attrs.Name, right} {
			l, err := netlink.LinkByName(name)
			if err != nil {
				return err
			}
			ends[i] = l.Attrs().Index
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, ifindex := range ends {
		p, err := straight(1)
		if err != nil {
			return err
		}
		place := *s.pod
		place.ifindex = ifindex
		b := &bare{program: p, pod: &place}
		if _, err := b.add(); err != nil {
			return errors.Join(err, p.Close())
		}
		s.links = append(s.links, b)
	}
	return nil
}

// remove takes the programs away.
func (s *slots) remove() error {
	var errs []error
	for _, b := range s.links {
		_, err := b.del()
		errs = append(errs, err, b.program.Close())
	}
	return errors.Join(append(errs, s.pod.remove())...)
}
