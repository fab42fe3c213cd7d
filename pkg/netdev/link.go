// SPDX-License-Identifier: Apache-2.0

package netdev

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"

	"github.com/xdp-chain/xdp-chain/pkg/chain"
)

// AttachLink attaches by a bpf_link. The caller must pin the link or keep it open: until
// it is pinned, the death of the process takes the program off again. Errors are
// [BusyError], [MTUError], [QueueError], or satisfy errors.Is for [ErrUnsupported] or
// [ErrNoInterface].
func (i *Interface) AttachLink(o AttachOptions) (link.Link, AttachResult, error) {
	var l link.Link
	placed, err := i.place(o, func(mode chain.Mode) error {
		// The kernel looks for the interface in the caller's own namespace.
		return i.NetNS.Do(func() error {
			var err error
			l, err = link.AttachXDP(link.XDPOptions{
				Program: o.Program, Interface: i.Index, Flags: link.XDPAttachFlags(modeFlags(mode)),
			})
			return err
		})
	})
	if err != nil {
		return nil, AttachResult{}, err
	}
	return l, placed, nil
}

// UpdateLink swaps the program that link l holds on this interface for p, in the link's
// own mode, in one step; frags says whether p is loaded with BPF_F_XDP_HAS_FRAGS. On an
// error the old program stays. If the interface is gone, errors.Is(err, [ErrNoInterface]).
//
// The swap is whole when the call returns, or did not happen: a process that dies in it
// leaves one of the two programs.
func (i *Interface) UpdateLink(l link.Link, p *ebpf.Program, frags bool) error {
	return i.explainChange(l.Update(p), frags)
}

// LinkIfindex returns the index of the interface that an XDP link is attached to, in the
// namespace that the interface is in; 0 when the interface is gone.
func LinkIfindex(l link.Link) (int, error) {
	info, err := l.Info()
	if err != nil {
		return 0, fmt.Errorf("reading about a bpf_link: %w", err)
	}
	xdp := info.XDP()
	if xdp == nil {
		return 0, errors.New("not a bpf_link of type xdp")
	}
	return int(xdp.Ifindex), nil
}
