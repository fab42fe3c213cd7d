// SPDX-License-Identifier: Apache-2.0

package node

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/cilium/ebpf"

	"github.com/xdp-chain/xdp-chain/internal/record"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
	"github.com/xdp-chain/xdp-chain/pkg/dispatcher/libxdp"
	"github.com/xdp-chain/xdp-chain/pkg/netdev"
	"github.com/xdp-chain/xdp-chain/pkg/pin"
)

// findTries bounds how often a chain is looked at again that others change under our
// eyes.
const findTries = 10

// findLibxdp reads the libxdp chain on an interface; nil where it carries none. No lock
// is needed: a dispatcher's pins are there from before it is attached until it is
// replaced, and then the interface says so.
func (n *Node) findLibxdp(rec *record.Record, iface *netdev.Interface) (*libxdpChain, error) {
	if iface == nil {
		return nil, nil
	}
	var attached, before netdev.Attached
	for range findTries {
		var err error
		if attached, err = iface.Attached(); err != nil || attached.ProgramID == 0 {
			if errors.Is(err, netdev.ErrNoInterface) {
				err = nil
			}
			return nil, err
		}
		if isLinked(rec, attached.ProgramID) {
			return nil, nil
		}
		c, err := n.readLibxdp(rec, iface, attached, attached == before)
		if !errors.Is(err, fs.ErrNotExist) {
			return c, err
		}
		before = attached
	}
	return nil, fmt.Errorf("%w: the libxdp chain on %s was replaced each of %d times that it was looked at; try again", netdev.ErrBusy, iface.Name, findTries)
}

// isLinked spares the usual chain the look at its program.
func isLinked(rec *record.Record, id ebpf.ProgramID) bool {
	s := rec.State
	return s != nil && s.Dispatcher == chain.DispatcherLinked && s.ProgramID == uint32(id)
}

// readLibxdp reads the chain of one dispatcher. Errors that satisfy errors.Is(err,
// [fs.ErrNotExist]) say that it, or a pin of it, was gone; last says that it is on the
// interface nevertheless.
func (n *Node) readLibxdp(rec *record.Record, iface *netdev.Interface, attached netdev.Attached, last bool) (*libxdpChain, error) {
	program, err := ebpf.NewProgramFromID(attached.ProgramID)
	if err != nil {
		return nil, fmt.Errorf("open XDP program %d of %s: %w", attached.ProgramID, iface.Name, err)
	}
	config, err := libxdp.Read(program)
	if err != nil {
		program.Close()
		// A version to come is to us what any other program is.
		if errors.Is(err, libxdp.ErrNotDispatcher) || errors.Is(err, libxdp.ErrVersion) {
			err = nil
		}
		return nil, err
	}
	c := &libxdpChain{dispatcher: program, id: uint32(attached.ProgramID), mode: attached.Mode, version: config.Version, devbound: config.Devbound}
	c.recorded = generationOf(rec, c.id) != nil
	programs, err := n.pinnedPrograms(rec, pin.Dispatch{Ifindex: iface.Index, ID: attached.ProgramID}, len(config.Slots))
	if errors.Is(err, fs.ErrNotExist) && last {
		c.unpinned = true
		return c, c.readOwn(rec)
	}
	if err == nil {
		err = c.fill(rec, config, programs)
	}
	if err != nil {
		c.close()
		return nil, err
	}
	return c, nil
}

// pinnedPrograms opens the members of a dispatcher, which are pinned in the tree of the
// chain's namespace or in the host's: xdp-loader uses that one wherever it is run,
// unless it is told of another. A missing pin of a link is a missing member.
func (n *Node) pinnedPrograms(rec *record.Record, d pin.Dispatch, count int) ([]*ebpf.Program, error) {
	for _, tree := range n.libxdpTrees(rec) {
		if whole, err := tree.Has(d, count); err != nil || !whole {
			if err != nil {
				return nil, err
			}
			continue
		}
		programs, err := tree.Programs(d)
		if err != nil || len(programs) == count {
			return programs, err
		}
		closePrograms(programs)
	}
	return nil, fmt.Errorf("pins of libxdp's dispatcher %d on interface %d: %w", d.ID, d.Ifindex, fs.ErrNotExist)
}

// libxdpTree is where the pins of a chain go.
func (n *Node) libxdpTree(rec *record.Record) pin.Libxdp {
	if rec.NetNS == netdev.CurrentPath {
		return n.BPFFS.HostLibxdp()
	}
	return n.BPFFS.Libxdp(rec.Key.Cookie)
}

// libxdpTrees are where the pins of a chain may be found.
func (n *Node) libxdpTrees(rec *record.Record) []pin.Libxdp {
	if rec.NetNS == netdev.CurrentPath {
		return []pin.Libxdp{n.BPFFS.HostLibxdp()}
	}
	return []pin.Libxdp{n.BPFFS.Libxdp(rec.Key.Cookie), n.BPFFS.HostLibxdp()}
}
