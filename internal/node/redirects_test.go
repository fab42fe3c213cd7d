// SPDX-License-Identifier: Apache-2.0

package node

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/cilium/ebpf"

	"github.com/xdp-chain/xdp-chain/internal/config"
	"github.com/xdp-chain/xdp-chain/internal/testenv"
)

// A map that redirects and that others have pinned is theirs: where the kernel does not let
// a chain have it that takes no packets of several buffers any more, there is no such chain,
// and no copy.
func TestMapOfOthersIsNotMadeAnew(t *testing.T) {
	machineOnly(t)
	testenv.NeedKernel(t, testenv.HaveFrags())
	for _, tt := range []struct {
		name string
		kind ebpf.MapType
		// refused says that the kernel compares the map's users.
		refused bool
	}{{"ports", ebpf.DevMapHash, false}, {"cpus", ebpf.CPUMap, true}} {
		t.Run(tt.name, func(t *testing.T) {
			testenv.NoLeaks(t)
			n, p := Default(), newPod(t, 0)
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
			p.apply(t, n, config.Program{
				Name: "send", Object: absolute(t, "../../pkg/object/testdata/stages.o"), Function: "send",
				Maps: map[string]config.MapSettings{tt.name: {Pinned: path}},
			})
			oneBuffer := p.byHand("", 90)
			oneBuffer.Program.Object = absolute(t, "testdata/before.o")
			m, err := n.Load(t.Context(), oneBuffer)
			if (err != nil) != tt.refused || err != nil && !strings.Contains(err.Error(), `shared map "cpus" of member "send"`) {
				t.Errorf("member %q, %v", m.Name, err)
			}
			c := p.chain(t, n, config.PodSide)
			used, err := n.BPFFS.OpenMap(c.Key, c.Generation, "send", tt.name)
			if err != nil {
				t.Fatal(err)
			}
			defer used.Close()
			if mapID(t, theirs) != mapID(t, used) {
				t.Error("the member has another map")
			}
			p.check(t, n)
			p.remove(t, n)
			if !tt.refused {
				p.unloadAll(t, n)
			}
		})
	}
}

func mapID(t *testing.T, m *ebpf.Map) ebpf.MapID {
	t.Helper()
	info, err := m.Info()
	if err != nil {
		t.Fatal(err)
	}
	id, _ := info.ID()
	return id
}
