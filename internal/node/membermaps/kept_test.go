// SPDX-License-Identifier: Apache-2.0

package membermaps_test

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cilium/ebpf"

	"github.com/xdp-chain/xdp-chain/internal/config"
	"github.com/xdp-chain/xdp-chain/internal/node"
	"github.com/xdp-chain/xdp-chain/internal/node/nodetest"
	"github.com/xdp-chain/xdp-chain/internal/testenv"
)

// A map that redirects and that others have pinned is theirs: where the kernel does not let
// a chain have it that takes no packets of several buffers any more, there is no such chain,
// and no copy.
func TestMapOfOthersIsNotMadeAnew(t *testing.T) {
	nodetest.MachineOnly(t)
	testenv.NeedKernel(t, testenv.HaveFrags())
	for _, tt := range []struct {
		name string
		kind ebpf.MapType
		// refused says that the kernel compares the map's users.
		refused bool
	}{{"ports", ebpf.DevMapHash, false}, {"cpus", ebpf.CPUMap, true}} {
		t.Run(tt.name, func(t *testing.T) {
			testenv.NoLeaks(t)
			n, p := node.Default(), nodetest.NewPod(t, 0)
			theirs, err := ebpf.NewMap(&ebpf.MapSpec{Type: tt.kind, KeySize: 4, ValueSize: 8, MaxEntries: 4})
			if err != nil {
				t.Fatal(err)
			}
			defer theirs.Close()
			path := filepath.Join(n.BPFFS.Root, tt.name)
			if err := theirs.Pin(path); err != nil {
				t.Fatal(err)
			}
			defer theirs.Unpin()
			p.Apply(t, n, config.Program{
				Name: "send", Object: nodetest.Objects(t, "stages.o"), Function: "send",
				Maps: map[string]config.MapSettings{tt.name: {Pinned: path}},
			})
			oneBuffer := p.Manual("", 90)
			oneBuffer.Program.Object = nodetest.Testdata(t, "before.o")
			m, err := n.Load(t.Context(), oneBuffer)
			if (err != nil) != tt.refused || err != nil && !strings.Contains(err.Error(), `shared map "cpus" of member "send"`) {
				t.Errorf("member %q, %v", m.Name, err)
			}
			c := p.Chain(t, n, config.PodSide)
			used, err := n.BPFFS.OpenMap(c.Key, c.Generation, "send", tt.name)
			if err != nil {
				t.Fatal(err)
			}
			defer used.Close()
			if nodetest.MapID(t, theirs) != nodetest.MapID(t, used) {
				t.Error("the member has another map")
			}
			p.Check(t, n)
			p.Remove(t, n)
			if !tt.refused {
				p.UnloadAll(t, n)
			}
		})
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
	n, p := node.Default(), nodetest.NewPod(t, 0)
	p.Apply(t, n, acl(`"deny"`, "10.0.0.0/8"))
	p.Send(t, n, 1)
	rules := p.Folder(t, n) + "/maps/acl/rules"
	first := nodetest.PinnedID(t, rules)
	p.Apply(t, n, acl(`"allow"`, "10.0.0.0/8"))
	p.Send(t, n, 1)
	if got := nodetest.PinnedID(t, rules); got != first {
		t.Errorf("with another global the rules are map %d, before %d", got, first)
	}
	p.Apply(t, n, acl(`"allow"`, "192.168.0.0/16"))
	if got := nodetest.PinnedID(t, rules); got == first {
		t.Errorf("with other entries the rules still are map %d", got)
	}
	if got := fmt.Sprint(p.Rows(t, n, config.PodSide)); got != "[{acl drop 1} {(end) pass 1}]" {
		t.Errorf("counted %s: the globals did not take effect", got)
	}
	p.Remove(t, n)
}
