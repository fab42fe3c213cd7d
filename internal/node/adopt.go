// SPDX-License-Identifier: Apache-2.0

package node

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/cilium/ebpf"

	"github.com/xdp-chain/xdp-chain/internal/record"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
	"github.com/xdp-chain/xdp-chain/pkg/netdev"
)

// mayRecord says whether a chain without a record may get a new one: not where its
// record was set aside and others have members in it that are known no more.
func (t *tenure) mayRecord(owner record.Owner) error {
	l, err := t.lock.OpenLink()
	if err == nil {
		l.Close()
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	programs, linksErr := t.linkedPrograms()
	if linksErr != nil {
		return linksErr
	}
	if err != nil && len(programs) == 0 {
		return nil
	}
	claimed, err := t.node.claimed(t.lock.Key(), owner)
	if claimed {
		err = fmt.Errorf("%w: the record of chain %s is broken and other attachments have members in it; remove those first", netdev.ErrBusy, t.lock.Key())
	}
	return err
}

// linkedPrograms are the programs of our members that are in libxdp's dispatchers, by
// member: what is known of them where the record was lost.
func (t *tenure) linkedPrograms() (map[string]ebpf.ProgramID, error) {
	links, err := t.lock.OpenLinks()
	if err != nil {
		return nil, err
	}
	programs := make(map[string]ebpf.ProgramID, len(links))
	for member, l := range links {
		info, infoErr := l.Info()
		if infoErr != nil {
			err = fmt.Errorf("read about the link of member %q: %w", member, infoErr)
		} else {
			programs[member] = info.Program
		}
		l.Close()
	}
	return programs, err
}

// adopt writes down again what can still be told of a libxdp chain whose record was
// lost, or its members, being no longer known as ours, would stay as others' beside those
// that are to come. Dies after it: the chain is recorded, by members that are built anew
// with the next change.
func (t *tenure) adopt(a *Attachment) error {
	programs, err := t.linkedPrograms()
	if err != nil || len(programs) == 0 {
		return err
	}
	s := &record.State{
		Requested: a.requested(), Mode: a.Mode, Attach: chain.AttachNetlink,
		Dispatcher: chain.DispatcherLibxdp, DispatcherWhy: "its record was lost, and that is what it was", LibxdpVersion: a.LibxdpVersion,
	}
	for member, id := range programs {
		s.Members = append(s.Members, record.Member{Member: chain.Member{Name: member}, Owner: a.owner(), ProgramID: uint32(id)})
	}
	t.rec.State = s
	found, err := t.node.findLibxdp(t.rec, t.iface)
	if err != nil {
		return err
	}
	defer found.close()
	if found != nil {
		s.ProgramID, s.Mode, s.LibxdpVersion = found.id, found.mode, found.version
	}
	return t.node.Records.Save(t.lock, t.rec)
}
