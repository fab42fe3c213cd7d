// SPDX-License-Identifier: Apache-2.0

package node

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/xdp-chain/xdp-chain/internal/config"
	"github.com/xdp-chain/xdp-chain/internal/record"
	"github.com/xdp-chain/xdp-chain/internal/testenv"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
	"github.com/xdp-chain/xdp-chain/pkg/netdev"
)

// An attachment's chains follow its programs from side to side, and go with the last
// of them.
func TestProgramsMoveBetweenSides(t *testing.T) {
	testenv.NoLeaks(t)
	n, p := Default(), newPod(t, 0)
	pass := programs("pass")[0]
	for _, list := range [][]config.Program{
		{pass}, {pass, onHost(pass)}, {onHost(pass)}, {pass}, {}, {pass}, {},
	} {
		p.apply(t, n, list...)
		want := make(map[config.Side]bool)
		for _, program := range list {
			if program.Side == nil {
				want[config.PodSide] = true
			} else {
				want[*program.Side] = true
			}
		}
		for _, side := range []config.Side{config.PodSide, config.HostSide} {
			if got := p.attached(t, side).ProgramID != 0; got != want[side] {
				t.Errorf("with %d programs: a chain on side %s: %t, want %t", len(list), side, got, want[side])
			}
		}
		p.check(t, n)
	}
}

// acl is the built-in acl with a default action and one rule.
func acl(action string, from string) config.Program {
	return config.Program{
		Name:    "acl",
		Globals: map[string]json.RawMessage{"default_action": json.RawMessage(action)},
		Maps: map[string]config.MapSettings{"rules": {Entries: []config.MapEntry{
			{Key: json.RawMessage("0"), Value: json.RawMessage(fmt.Sprintf(`{"source": %q, "action": "allow"}`, from))},
		}}},
	}
}

func TestMapsOfAChangedMember(t *testing.T) {
	testenv.NoLeaks(t)
	n, p := Default(), newPod(t, 0)
	p.apply(t, n, acl(`"deny"`, "10.0.0.0/8"))
	p.send(t, n, 1)
	rules := p.folder(t, n) + "/maps/acl/rules"
	first := pinnedID(t, rules)
	p.apply(t, n, acl(`"allow"`, "10.0.0.0/8"))
	p.send(t, n, 1)
	if got := pinnedID(t, rules); got != first {
		t.Errorf("with another global the rules are map %d, before %d", got, first)
	}
	p.apply(t, n, acl(`"allow"`, "192.168.0.0/16"))
	if got := pinnedID(t, rules); got == first {
		t.Errorf("with other entries the rules still are map %d", got)
	}
	if got := fmt.Sprint(p.rows(t, n, config.PodSide)); got != "[{acl drop 1} {(end) pass 1}]" {
		t.Errorf("counted %s: the globals did not take effect", got)
	}
	p.remove(t, n)
}

// A chain whose record is broken belongs to those whose attachments list it. Who
// comes new to it is refused, lest their members be lost; they themselves may leave.
func TestAChainWhoseRecordIsBrokenIsNotTakenOver(t *testing.T) {
	n, p := Default(), newPod(t, 0)
	p.apply(t, n, programs("drop")...)
	before := p.attached(t, config.PodSide)
	key := p.chain(t, n, config.PodSide).Key
	if err := os.WriteFile(filepath.Join(n.Records.Root, "chains", key.String()+".json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	guest := *p
	guest.Network, guest.Programs = "guests", programs("pass")
	if err := n.Apply(t.Context(), guest.Attachment); !errors.Is(err, netdev.ErrBusy) || !strings.Contains(err.Error(), "record of chain "+key.String()) {
		t.Errorf("a new owner: %v", err)
	}
	if after := p.attached(t, config.PodSide); after != before {
		t.Errorf("the interface carries %s, before %s", after, before)
	}
	p.apply(t, n, programs("drop")...)
	p.check(t, n)
	p.remove(t, n)
	if a := p.attached(t, config.PodSide); a.ProgramID != 0 {
		t.Errorf("still carries %s", a)
	}
	if err := os.RemoveAll(filepath.Join(n.Records.Root, "broken")); err != nil {
		t.Fatal(err)
	}
}

// What a later version wrote is for that one to change.
func TestARecordOfALaterVersionIsLeftAlone(t *testing.T) {
	testenv.NoLeaks(t)
	n, p := Default(), newPod(t, 0)
	p.apply(t, n, programs("drop")[0], onHost(programs("drop")[0]))
	before, beforeOnHost := p.attached(t, config.PodSide), p.attached(t, config.HostSide)
	path := filepath.Join(n.Records.Root, "chains", p.chain(t, n, config.PodSide).Key.String()+".json")
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(`{"version": 2}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := n.Apply(t.Context(), p.Attachment); !errors.Is(err, record.ErrVersion) {
		t.Errorf("ADD: %v, want an ErrVersion", err)
	}
	if after := p.attached(t, config.HostSide); after != beforeOnHost {
		t.Errorf("after a failed ADD side host carries %s, before %s", after, beforeOnHost)
	}
	if err := n.Remove(t.Context(), p.Network, p.ContainerID, p.Ifname); !errors.Is(err, record.ErrVersion) {
		t.Errorf("DEL: %v, want an ErrVersion", err)
	}
	if after := p.attached(t, config.PodSide); after != before {
		t.Errorf("the interface carries %s, before %s", after, before)
	}
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	p.remove(t, n)
}

// A process that was killed between attach and pin has let go of the chain's lock
// and not yet of its link. Who comes next waits for that.
func TestLinkOfADyingProcessIsWaitedFor(t *testing.T) {
	testenv.NoLeaks(t)
	n, p := Default(), newPod(t, 0)
	p.Programs = programs("pass")
	iface := p.open(t, config.PodSide)
	defer iface.NetNS.Close()
	program := foreignProgram(t)
	info, err := program.Info()
	if err != nil {
		t.Fatal(err)
	}
	id, _ := info.ID()
	if err := n.BPFFS.Ensure(); err != nil {
		t.Fatal(err)
	}
	lock, err := n.BPFFS.Lock(t.Context(), iface.Key())
	if err != nil {
		t.Fatal(err)
	}
	err = errors.Join(
		n.Records.SaveAttachment(record.Attachment{
			Network: p.Network, ContainerID: p.ContainerID, Ifname: p.Ifname, Keys: []chain.Key{iface.Key()},
		}),
		n.Records.Save(lock, &record.Record{
			Key: iface.Key(), Interface: iface.Name, NetNS: p.NetNS,
			Pending: &record.State{Generation: 1, ProgramID: uint32(id), Attach: chain.AttachLink, Members: []record.Member{
				{Member: chain.Member{Name: "pass", Function: "pass"}, Owner: p.Owner},
			}},
		}),
	)
	if err != nil {
		t.Fatal(err)
	}
	l, _, err := iface.AttachLink(netdev.AttachOptions{Program: program, Mode: chain.ModeGeneric})
	if err != nil {
		t.Fatal(err)
	}
	if err := lock.Unlock(); err != nil {
		t.Fatal(err)
	}

	if err := n.Check(inMilliseconds(t, 50), p.Attachment); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("program %d", id)) {
		t.Errorf("while the link is there: %v", err)
	}
	if err := n.Sweep(inMilliseconds(t, 5000), 16); err != nil {
		t.Errorf("sweep: %v", err)
	}
	time.AfterFunc(50*time.Millisecond, func() { l.Close() })
	p.apply(t, n, programs("pass")...)
	p.check(t, n)
	p.remove(t, n)
}
