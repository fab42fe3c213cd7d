// SPDX-License-Identifier: Apache-2.0

package record

import (
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/xdp-chain/xdp-chain/internal/config"
	"github.com/xdp-chain/xdp-chain/internal/crashtest"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
)

func TestMain(m *testing.M) {
	crashtest.Child(map[string]func() error{
		"save":              saveLater,
		"remove":            removeRecord,
		"save-attachment":   saveAttachment,
		"remove-attachment": removeAttachment,
		"come-and-go":       comeAndGo,
		"load":              loadBroken,
	})
	m.Run()
}

// held stands for the lock of one chain.
type held chain.Key

func (h held) Holds(key chain.Key) bool { return chain.Key(h) == key }

var key = chain.Key{Cookie: 4097, Ifindex: 3}

// full is a record with something in every field.
func full() *Record {
	pod := Owner{OwnerAttachment, "k8s.pod-network", "0123456789abcdef", "eth0", "default", "web-0"}
	acl := Member{
		Member: chain.Member{Name: "acl", Function: "acl_xdp", Priority: 10, ProceedOn: chain.DefaultProceedOn},
		Owner:  pod, Object: "sha256:aa", Origin: "built-in acl", Pins: []string{".rodata", "rules"},
		Globals: map[string]json.RawMessage{"limit": json.RawMessage(`100`), "who": json.RawMessage(`"<&>"`)},
		Maps: map[string]config.MapSettings{"rules": {
			Scope: config.ScopeNode, MaxEntries: 7,
			Entries: []config.MapEntry{{Key: json.RawMessage(`"10.0.0.0/8"`), Value: json.RawMessage(`[1,2]`)}},
		}},
	}
	tap := Member{
		Member: chain.Member{Name: "tap", Function: "tap", Priority: 50, ProceedOn: 0},
		Owner:  Owner{Kind: OwnerCLI}, Object: "sha256:bb", Origin: "/opt/xdp/tap.o",
		Maps: map[string]config.MapSettings{"seen": {Pinned: "/sys/fs/bpf/seen"}},
	}
	state := State{
		Generation: 2, ProgramID: 17,
		Requested: config.Requested{Mode: chain.ModeAuto, Attach: chain.AttachLink, Dispatcher: chain.DispatcherAuto},
		Mode:      chain.ModeGeneric, ModeWhy: "MTU 9000", Attach: chain.AttachLink,
		Dispatcher: chain.DispatcherLinked, DispatcherWhy: "all members can be linked", Counters: true,
		Members: []Member{acl, tap},
	}
	pending := state
	pending.Generation, pending.Members = 3, []Member{acl}
	return &Record{
		Version: Version, Key: key, Interface: "eth0", NetNS: "/run/netns/a",
		Side: config.HostSide, Created: time.Date(2026, 11, 21, 1, 2, 3, 4, time.UTC), State: &state, Pending: &pending,
		Base: []chain.Count{{Member: "acl", Verdict: chain.VerdictDrop, Packets: 1<<63 + 1}, {Member: chain.EndMember, Verdict: chain.VerdictPass, Packets: 9}},
	}
}

// checkNothingLeft fails for everything below the root.
func checkNothingLeft(t *testing.T, d Dir) {
	t.Helper()
	for path := range modes(t, d) {
		t.Errorf("left behind: %s", path)
	}
}

// modes returns the paths below the root with their modes.
func modes(t *testing.T, d Dir) map[string]fs.FileMode {
	t.Helper()
	found := make(map[string]fs.FileMode)
	err := filepath.WalkDir(d.Root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || path == d.Root {
			return err
		}
		info, err := entry.Info()
		if err == nil {
			found[path[len(d.Root)+1:]] = info.Mode()
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// put writes a file as somebody else would.
func put(t *testing.T, path string, content []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), folderMode); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, content, fileMode); err != nil {
		t.Fatal(err)
	}
}
