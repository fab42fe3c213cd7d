// SPDX-License-Identifier: Apache-2.0

package insns

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os/exec"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/vishvananda/netlink"

	"github.com/xdp-chain/xdp-chain/integration/bench/workload"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
	"github.com/xdp-chain/xdp-chain/pkg/dispatcher"
	"github.com/xdp-chain/xdp-chain/pkg/dispatcher/libxdp"
	"github.com/xdp-chain/xdp-chain/pkg/pin"
)

//go:embed testdata/tailcalls.o
var tailCallsObject []byte

// variant is one way to do the work of some members, in instructions.
type variant struct {
	name string
	// members is how many there have to be, 0 for any number.
	members int
	// freplace says that the kernel has to replace functions of programs.
	freplace bool
	load     func(ctx context.Context, n int) (*loaded, error)
}

// loaded is a variant in the kernel.
type loaded struct {
	// program is what gets the packets.
	program *ebpf.Program
	// members are the programs that do the work.
	members []*ebpf.Program
	close   func() error
}

const (
	nameOurs   = "libxdp, made by us"
	nameLoader = "libxdp, made by xdp-loader"
)

// variants are the rows of the table, the one that the others are compared with last.
var variants = []variant{
	{name: "a member alone", members: 1, load: loadTogether},
	{name: "linked, counters off", load: func(ctx context.Context, n int) (*loaded, error) {
		return loadLinked(ctx, n, false)
	}},
	{name: "linked, counters on", load: func(ctx context.Context, n int) (*loaded, error) {
		return loadLinked(ctx, n, true)
	}},
	{name: nameOurs, freplace: true, load: func(ctx context.Context, n int) (*loaded, error) {
		return loadLibxdp(ctx, n, workload.MemberFunction, chain.DefaultProceedOn)
	}},
	// A lone member that may return another verdict of its proceedOn than XDP_PASS.
	{name: nameOurs + ", in a slot", members: 1, freplace: true, load: func(ctx context.Context, n int) (*loaded, error) {
		return loadLibxdp(ctx, n, "undecided", chain.ActionSetOf(chain.Aborted, chain.Pass))
	}},
	{name: nameLoader, freplace: true, load: loadByLoader},
	{name: "tail calls", load: loadTailCalls},
	{name: "one C function", load: loadTogether},
}

// count loads the variant for n members and counts its instructions for a packet.
func (v *variant) count(ctx context.Context, n, runs int) (_ int, err error) {
	l, err := v.load(ctx, n)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, l.close()) }()
	got, err := instructions(l.program, runs)
	if err != nil {
		return 0, err
	}
	return got, checkWork(l.members, n, runs)
}

// loadTogether loads the C function that does the work of n members.
func loadTogether(_ context.Context, n int) (*loaded, error) {
	p, err := workload.Load(workload.TogetherFunction(n))
	if err != nil {
		return nil, err
	}
	return &loaded{p, []*ebpf.Program{p}, p.Close}, nil
}

func loadLinked(ctx context.Context, n int, counters bool) (*loaded, error) {
	built, err := workload.Build(ctx, n, counters)
	if err != nil {
		return nil, err
	}
	return &loaded{built.Program, []*ebpf.Program{built.Program}, built.Close}, nil
}

// loadLibxdp makes a libxdp dispatcher with n members.
func loadLibxdp(ctx context.Context, n int, function string, proceedOn chain.ActionSet) (*loaded, error) {
	list, err := workload.Members(function, n)
	if err != nil {
		return nil, err
	}
	for i := range list {
		list[i].ProceedOn = proceedOn
	}
	built, err := libxdp.New(libxdp.DefaultVersion).Build(ctx, list, dispatcher.Options{})
	if err != nil {
		return nil, err
	}
	l := &loaded{program: built.Program, close: built.Close}
	for _, s := range built.Slots {
		l.members = append(l.members, s.Program)
	}
	return l, nil
}

// loadTailCalls loads n members of which each calls the next.
func loadTailCalls(_ context.Context, n int) (*loaded, error) {
	spec, err := ebpf.LoadCollectionSpecFromReader(bytes.NewReader(tailCallsObject))
	if err != nil {
		return nil, err
	}
	c, err := ebpf.NewCollection(spec)
	if err != nil {
		return nil, err
	}
	// The collection is held, since the array is emptied when its last file
	// descriptor is closed.
	l := &loaded{program: c.Programs["tail0"], close: func() error { c.Close(); return nil }}
	for i := range n {
		p := c.Programs[fmt.Sprint("tail", i)]
		if i > 0 {
			err = errors.Join(err, c.Maps["members"].Put(uint32(i), p))
		}
		l.members = append(l.members, p)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("putting programs into the array of tail calls: %w", err), l.close())
	}
	return l, nil
}

// loadByLoader has xdp-loader put n members on an interface, and takes the
// dispatcher from there.
func loadByLoader(ctx context.Context, n int) (_ *loaded, err error) {
	pod, err := workload.NewPod(fmt.Sprint("loader", n))
	if err != nil {
		return nil, err
	}
	l := &loaded{close: func() error { return unload(pod) }}
	defer func() {
		if err != nil {
			err = errors.Join(err, l.close())
		}
	}()
	args := []string{"load", "--prog-name", workload.MemberFunction, pod.Name}
	for range n {
		args = append(args, workload.ObjectPath)
	}
	if err := xdpLoader(ctx, args...); err != nil {
		return nil, err
	}
	host, err := netlink.LinkByName(pod.Name)
	if err != nil {
		return nil, fmt.Errorf("finding %s: %w", pod.Name, err)
	}
	xdp := host.Attrs().Xdp
	if xdp == nil || !xdp.Attached {
		return nil, fmt.Errorf("xdp-loader has put no program on %s", pod.Name)
	}
	on := pin.Dispatch{Ifindex: host.Attrs().Index, ID: ebpf.ProgramID(xdp.ProgId)}
	if l.program, err = ebpf.NewProgramFromID(on.ID); err != nil {
		return nil, fmt.Errorf("opening program %d on %s: %w", on.ID, pod.Name, err)
	}
	if l.members, err = (pin.Tree{Root: pin.DefaultRoot}).HostLibxdp().Programs(on); err != nil {
		return nil, err
	}
	l.close = func() error { return errors.Join(closeAll(append(l.members, l.program)), unload(pod)) }
	return l, nil
}

// unload takes off what xdp-loader has put on the pod's interface, and ends the pod.
func unload(p *workload.Pod) error {
	return errors.Join(xdpLoader(context.Background(), "unload", "--all", p.Name), p.Remove())
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
