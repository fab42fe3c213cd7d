// SPDX-License-Identifier: Apache-2.0

package change_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cilium/ebpf"

	"github.com/xdp-chain/xdp-chain/internal/catalog"
	"github.com/xdp-chain/xdp-chain/internal/config"
	"github.com/xdp-chain/xdp-chain/internal/node"
	"github.com/xdp-chain/xdp-chain/internal/node/change"
	"github.com/xdp-chain/xdp-chain/internal/node/nodetest"
	"github.com/xdp-chain/xdp-chain/internal/testenv"
)

// A member whose answers the other end turns out not to take leaves none of its maps. GRO
// that is turned off stands here for a kernel that does not poll by it.
func TestSharedMapsOfAMemberThatIsTakenOffAgain(t *testing.T) {
	testenv.KernelIndependent(t)
	nodetest.MachineOnly(t)
	p := polledPod(t)
	testenv.NoLeaks(t)
	n := node.Default()
	dir := t.TempDir()
	entry := "name: answers\nobject: " + nodetest.Testdata(t, "before.o") + "\ntransmits: true\n"
	if err := os.WriteFile(filepath.Join(dir, "answers.yaml"), []byte(entry), 0o600); err != nil {
		t.Fatal(err)
	}
	l := p.Manual("answers", 10)
	var err error
	if l.Catalog, err = catalog.Open(dir); err != nil {
		t.Fatal(err)
	}
	l.Program.Maps = map[string]config.MapSettings{"same": {Scope: config.ScopeNode}}
	nodetest.Load(t, n, l)
	setGRO(t, p, config.HostSide, false)
	iface := p.Open(t, config.PodSide)
	defer iface.NetNS.Close()
	held, err := change.Lock(t.Context(), n.Node, iface.Key(), iface)
	if err != nil {
		t.Fatal(err)
	}
	defer held.Unlock()
	if err := change.CheckTransmitted(held, t.Context(), "answers"); !errors.Is(err, ebpf.ErrNotSupported) || !strings.Contains(err.Error(), p.Host) {
		t.Errorf("with GRO off: %v", err)
	}
	if left, err := n.BPFFS.Networks(); len(left) != 0 || err != nil {
		t.Errorf("maps are left of %q, %v", left, err)
	}
}
