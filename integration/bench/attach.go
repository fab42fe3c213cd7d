// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"

	"github.com/xdp-chain/xdp-chain/integration/bench/report"
	"github.com/xdp-chain/xdp-chain/integration/bench/workload"
)

// settle is how long to wait for what the kernel frees later.
const settle = 10 * time.Millisecond

// attacher makes a pod's interface ready and takes that back, and says how long
// each took.
type attacher interface {
	add() (time.Duration, error)
	del() (time.Duration, error)
}

// contestant is an attacher that is compared with others.
type contestant struct {
	name       string
	it         attacher
	adds, dels report.Samples
	starts     report.Samples // of its binary, where that is compared
}

// contestants are compared with one another.
type contestants []*contestant

// compete does one ADD and one DEL.
func (c *contestant) compete() error {
	added, err := c.it.add()
	if err != nil {
		return err
	}
	time.Sleep(settle)
	deleted, err := c.it.del()
	if err != nil {
		return err
	}
	time.Sleep(settle)
	c.adds, c.dels = append(c.adds, added), append(c.dels, deleted)
	return nil
}

// compete has everybody do ADD and DEL, so many rounds, each in a new random order.
func (list contestants) compete(ctx context.Context, rounds int) error {
	for range rounds {
		if err := ctx.Err(); err != nil {
			return err
		}
		for _, i := range rand.Perm(len(list)) {
			if err := list[i].compete(); err != nil {
				return fmt.Errorf("%s: %w", list[i].name, err)
			}
		}
	}
	return nil
}

// network is the name of the network in every configuration.
const network = "bench"

// fields are a JSON object.
type fields = map[string]any

// plugin is a CNI plugin with its configuration for one pod.
type plugin struct {
	path  string
	pod   *workload.Pod
	stdin []byte
}

// newPlugin makes a plugin's configuration, as a runtime hands it over when the
// plugins before it have made the pod's interface.
func newPlugin(path string, p *workload.Pod, conf fields) (*plugin, error) {
	all := fields{
		"cniVersion": "1.0.0",
		"name":       network,
		"type":       filepath.Base(path),
		"prevResult": fields{
			"cniVersion": "1.0.0",
			"interfaces": []fields{{"name": workload.PodInterface, "sandbox": p.Path}},
			"ips":        []fields{{"interface": 0, "address": "10.0.0.2/24"}},
		},
	}
	for field, value := range conf {
		all[field] = value
	}
	stdin, err := json.Marshal(all)
	return &plugin{path: path, pod: p, stdin: stdin}, err
}

// run runs the plugin, as a runtime does, and returns how long it took from its
// start to its end.
func (p *plugin) run(verb string) (time.Duration, error) {
	cmd := exec.Command(p.path)
	cmd.Env = []string{
		"CNI_COMMAND=" + verb, "CNI_CONTAINERID=" + p.pod.Name, "CNI_NETNS=" + p.pod.Path,
		"CNI_IFNAME=" + workload.PodInterface, "CNI_PATH=" + filepath.Dir(p.path),
	}
	var out bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(p.stdin), &out, &out
	start := time.Now()
	err := cmd.Run()
	took := time.Since(start)
	if err != nil {
		return 0, fmt.Errorf("%s %s of pod %s: %w: %s", filepath.Base(p.path), verb, p.pod.Name, err, out.Bytes())
	}
	return took, nil
}

func (p *plugin) add() (time.Duration, error) { return p.run("ADD") }

func (p *plugin) del() (time.Duration, error) { return p.run("DEL") }

// bare attaches a loaded program to a pod's interface and does nothing else: what
// the kernel alone takes.
type bare struct {
	program *ebpf.Program
	pod     *workload.Pod
	link    link.Link
}

func (b *bare) add() (took time.Duration, err error) {
	err = b.pod.Do(func() error {
		start := time.Now()
		b.link, err = link.AttachXDP(link.XDPOptions{Program: b.program, Interface: b.pod.Ifindex, Flags: link.XDPDriverMode})
		took = time.Since(start)
		return err
	})
	return took, err
}

func (b *bare) del() (time.Duration, error) {
	start := time.Now()
	err := b.link.Close()
	return time.Since(start), err
}

// kernelSlots is how many programs the kernel's XDP dispatcher has room for
// (BPF_DISPATCHER_MAX, include/linux/bpf.h). While it has, each program that comes
// or goes waits for a grace period, one after another.
const kernelSlots = 48

// slots are programs that take all the room of the kernel's dispatcher.
type slots struct {
	pod   *workload.Pod
	links []*bare
}

// fillSlots attaches that many programs, to pairs of veths in a pod of that name.
func fillSlots(name string) (s *slots, err error) {
	s = new(slots)
	if s.pod, err = workload.NewPod(name); err != nil {
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
	err := s.pod.Do(func() error {
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
		p, err := workload.LoadMoves(1)
		if err != nil {
			return err
		}
		place := *s.pod
		place.Ifindex = ifindex
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
	return errors.Join(append(errs, s.pod.Remove())...)
}
