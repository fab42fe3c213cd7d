// SPDX-License-Identifier: Apache-2.0

package state

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/cilium/ebpf"

	"github.com/xdp-chain/xdp-chain/internal/enum"
	"github.com/xdp-chain/xdp-chain/internal/record"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
	"github.com/xdp-chain/xdp-chain/pkg/netdev"
)

// Liveness says whether a chain runs. The zero value is Running.
type Liveness uint8

// The values of Liveness.
const (
	// Running is on its interface.
	Running Liveness = iota
	// Detached is not on its interface, which is there and carries nothing, or another program.
	Detached
	// Gone is a chain that nobody would miss: its interface or network namespace is gone, it
	// never came to run, or all members have left it.
	Gone
)

var livenessNames = enum.Names[Liveness]{
	What: "state", Invalid: chain.ErrInvalid, List: []string{"running", "detached", "gone"},
}

// Liveness tells whether a chain runs, and if not, why, a sentence: it is the one that
// decides. rec is nil where the chain has no record; then only a link can hold it. The link
// tells at the cost of three system calls. Where it does not, locate finds the interface: nil,
// and why, where that is gone.
func (n *Node) Liveness(key chain.Key, rec *record.Record, locate func() (*netdev.Interface, string, error)) (Liveness, string, error) {
	program, err := n.linkedProgram(key)
	switch {
	case err != nil:
		return Running, "", err
	case program != 0 && (rec == nil || rec.Generation(uint32(program)) != nil):
		return Running, "", nil
	case program != 0:
		return Detached, fmt.Sprintf("its link holds program %d, which is not recorded", program), nil
	case rec == nil:
		return Gone, "they have no record, and no link holds the chain on an interface", nil
	case rec.State == nil && rec.Pending == nil:
		return Gone, "it never came to run", nil
	}
	iface, why, err := locate()
	if iface == nil || err != nil {
		return Gone, why, err
	}
	return n.LivenessOn(rec, iface)
}

// LivenessOn is [Node.Liveness] by what the interface carries.
func (n *Node) LivenessOn(rec *record.Record, iface *netdev.Interface) (Liveness, string, error) {
	if s := rec.State; s != nil && s.Dispatcher == chain.DispatcherLibxdp {
		return n.libxdpLiveness(rec, iface)
	}
	return carriedLiveness(rec, iface)
}

// carriedLiveness goes by the one program that the interface carries.
func carriedLiveness(rec *record.Record, iface *netdev.Interface) (Liveness, string, error) {
	attached, err := iface.Attached()
	switch {
	case errors.Is(err, netdev.ErrNoInterface):
		return Gone, "the interface is gone", nil
	case err != nil:
		return Running, "", err
	case rec.Generation(uint32(attached.ProgramID)) != nil:
		return Running, "", nil
	case rec.State == nil:
		return Detached, "it has not come to run", nil
	}
	return Detached, DetachedBy(rec, named(attached)), nil
}

// DetachedBy says what an interface carries in the place of a chain.
func DetachedBy(rec *record.Record, carried netdev.Attached) string {
	program := rec.State.ProgramID
	switch {
	case rec.State.Dispatcher == chain.DispatcherLibxdp:
		return fmt.Sprintf("libxdp's dispatcher (program %d) is gone: the interface carries %s", program, carried)
	case carried.ProgramID == 0:
		return fmt.Sprintf("the chain (program %d) is gone: the interface carries no XDP program", program)
	}
	return fmt.Sprintf("the chain (program %d) was replaced: the interface carries %s", program, carried)
}

// named fills in the name of a program, if it is still there. Who only looks leaves it at that:
// to find out what holds a program is to try to replace it.
func named(a netdev.Attached) netdev.Attached {
	p, err := ebpf.NewProgramFromID(a.ProgramID)
	if err != nil {
		return a
	}
	defer p.Close()
	if info, err := p.Info(); err == nil {
		a.Name = info.Name
	}
	return a
}

// libxdpLiveness goes by the members: libxdp's tools make a new dispatcher for each change. A
// record whose members have left tells the sweep of the pins that go with the interface.
func (n *Node) libxdpLiveness(rec *record.Record, iface *netdev.Interface) (Liveness, string, error) {
	found, err := n.FindLibxdp(rec, iface)
	if err != nil {
		return Running, "", err
	}
	defer found.Close()
	switch {
	case found == nil && len(rec.State.Members) == 0:
		return Gone, "its members have left, and libxdp's tools have taken theirs off", nil
	case found != nil && !found.HasOwn() && !found.Recorded && len(rec.State.Members) > 0:
		return Detached, fmt.Sprintf("its members are not in libxdp's dispatcher (program %d) any more", found.ID), nil
	case found != nil:
		return Running, "", nil
	}
	return carriedLiveness(rec, iface)
}

// LinkAlive tells, without the chain's lock, whether a bpf_link still holds it on its
// interface.
func (n *Node) LinkAlive(key chain.Key) (bool, error) {
	program, err := n.linkedProgram(key)
	return program != 0, err
}

// linkedProgram returns the program that a chain's pinned bpf_link holds on an interface, 0
// where there is no link, or one that has lost its interface.
func (n *Node) linkedProgram(key chain.Key) (ebpf.ProgramID, error) {
	l, err := n.BPFFS.OpenLink(key)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	defer l.Close()
	info, err := l.Info()
	if err != nil {
		return 0, fmt.Errorf("read about the link of chain %s: %w", key, err)
	}
	xdp := info.XDP()
	switch {
	case xdp == nil:
		return 0, fmt.Errorf("the link of chain %s is not of type xdp", key)
	case xdp.Ifindex == 0:
		return 0, nil
	}
	return info.Program, nil
}
