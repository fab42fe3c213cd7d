// SPDX-License-Identifier: Apache-2.0

package inspect_test

import (
	"encoding/json"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/google/go-cmp/cmp"

	"github.com/xdp-chain/xdp-chain/internal/config"
	"github.com/xdp-chain/xdp-chain/internal/node"
	"github.com/xdp-chain/xdp-chain/internal/node/inspect"
	"github.com/xdp-chain/xdp-chain/internal/node/nodetest"
	"github.com/xdp-chain/xdp-chain/internal/node/state"
	"github.com/xdp-chain/xdp-chain/internal/record"
	"github.com/xdp-chain/xdp-chain/internal/testenv"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
)

func get(t *testing.T, n *node.Node, id record.ID) inspect.Detail {
	t.Helper()
	d, err := inspect.Get(n.Node, id)
	if err != nil {
		t.Fatalf("get %d: %v", id, err)
	}
	return d
}

func TestGet(t *testing.T) {
	for _, way := range nodetest.Ways {
		t.Run(way.String(), func(t *testing.T) {
			p := way.Pod(t)
			testenv.NoLeaks(t)
			n := node.Default()
			p.Load(t, n, "pass", 5)
			limited := p.Manual("ratelimit", 50)
			limited.Program.Globals = map[string]json.RawMessage{"pps": json.RawMessage("7")}
			loaded := nodetest.Load(t, n, limited)
			d := get(t, n, loaded.ID)
			if d.ID != loaded.ID || d.Name != "ratelimit" || d.Position != 1 || d.Metadata["owner"] != "net-team" || !d.CreatedAt.Equal(loaded.CreatedAt) || d.Owner.Kind != record.OwnerCLI {
				t.Errorf("loaded %+v, got %+v", loaded, d.Member)
			}
			if !strings.HasPrefix(d.Digest, "sha256:") || !strings.Contains(d.Origin, "ratelimit") || string(d.Globals["pps"]) != "7" {
				t.Errorf("digest %q, origin %q, globals %s", d.Digest, d.Origin, d.Globals)
			}
			c := p.Chain(t, n, config.PodSide)
			if d.Chain != c.Key || d.NetNS != p.NetNS || d.Interface != "eth0" || d.Mode != chain.ModeNative || d.Attach != way.Attach || d.Dispatcher != way.Dispatcher {
				t.Errorf("in chain %+v, got %+v", c, d)
			}
			checkMaps(t, p, n, d)
			checkKernel(t, p, d)
			nodetest.Unload(t, n, c.Members[0].ID, loaded.ID)
			if _, err := inspect.Get(n.Node, loaded.ID); !errors.Is(err, state.ErrNoMember) {
				t.Errorf("of a member that is gone: %v", err)
			}
		})
	}
}

// checkMaps compares the maps with what is pinned.
func checkMaps(t *testing.T, p *nodetest.Pod, n *node.Node, d inspect.Detail) {
	t.Helper()
	folder := filepath.Join(p.Folder(t, n), "maps", d.Name)
	var pinned []string
	for _, entry := range nodetest.Files(t, folder) {
		pinned = append(pinned, strings.ReplaceAll(entry, ":", "."))
	}
	var found []string
	var ids []uint32
	for _, m := range d.Maps {
		found, ids = append(found, m.Name), append(ids, m.ID)
		if len(m.Pins) != 1 || filepath.Dir(m.Pins[0]) != folder || m.ID == 0 || m.Scope != "pod" || len(m.Users) > 0 {
			t.Errorf("got %+v", m)
			continue
		}
		if id := nodetest.PinnedID(t, m.Pins[0]); id != ebpf.MapID(m.ID) {
			t.Errorf("%s is map %d, not %d", m.Pins[0], id, m.ID)
		}
	}
	if diff := cmp.Diff(pinned, found); diff != "" || len(found) == 0 {
		t.Errorf("maps (-pinned +got): %s", diff)
	}
	if diff := cmp.Diff(ids, d.MapIDs); diff != "" {
		t.Error(diff)
	}
}

// checkKernel compares the kernel's state with what the interface carries.
func checkKernel(t *testing.T, p *nodetest.Pod, d inspect.Detail) {
	t.Helper()
	k, carried := d.Kernel, p.Attached(t, config.PodSide).ProgramID
	if k == nil || d.KernelReason != "" {
		t.Fatalf("no state of the kernel: %q", d.KernelReason)
	}
	linked := d.Dispatcher == chain.DispatcherLinked
	if d.WholeChain != linked || linked != (k.ProgramID == uint32(carried)) || !linked && k.ProgramID != d.ProgramID {
		t.Errorf("program %d, of the whole chain: %t; the interface carries %d", k.ProgramID, d.WholeChain, carried)
	}
	program, err := ebpf.NewProgramFromID(ebpf.ProgramID(k.ProgramID))
	if err != nil {
		t.Fatal(err)
	}
	defer program.Close()
	info, err := program.Info()
	if err != nil {
		t.Fatal(err)
	}
	used, _ := info.MapIDs()
	for _, id := range d.MapIDs {
		if !slices.Contains(used, ebpf.MapID(id)) {
			t.Errorf("map %d is not among the program's, %v", id, used)
		}
	}
	wantType := map[bool]string{true: "xdp", false: "extension"}[linked]
	if k.Name != info.Name || k.Tag != info.Tag || k.Type != wantType || len(k.Tag) != 16 || !k.GPLCompatible {
		t.Errorf("got %+v of %+v", k, info)
	}
	if age := time.Since(k.LoadedAt); age < -time.Second || age > time.Minute {
		t.Errorf("loaded at %s, %s ago", k.LoadedAt, age)
	}
	verified, tells := info.VerifiedInstructions()
	if k.BTFID == 0 || k.BytesTranslated == 0 || k.BytesMemlock == 0 || tells != (k.VerifiedInstructions > 0) || k.VerifiedInstructions != verified {
		t.Errorf("got %+v", k)
	}
}

// Who else uses a map is told of maps that a network's members share, of those loaded
// manually, and of one whose pin another member was given.
func TestGetMapUsers(t *testing.T) {
	testenv.KernelIndependent(t)
	testenv.NoLeaks(t)
	n, first, second := node.Default(), nodetest.NewPod(t, 0), nodetest.NewPod(t, 0)
	first.Apply(t, n, nodetest.Sharing()...)
	second.Apply(t, n, nodetest.Sharing()...)
	one, other := first.Chain(t, n, config.PodSide).Members[0], second.Chain(t, n, config.PodSide).Members[0]
	own := traffic(t, get(t, n, one.ID))
	path := filepath.Join(n.BPFFS.Root, "xdp-chain/node/podnet/count:traffic")
	if own.Scope != "node" || own.Owner != "network podnet" || !slices.Contains(own.Pins, path) || !cmp.Equal(userIDs(own), []record.ID{other.ID}) {
		t.Errorf("of a network's map: %+v", own)
	}

	given := first.Manual("count", 90)
	given.Program.Maps = map[string]config.MapSettings{"traffic": {Pinned: path}}
	third := nodetest.Load(t, n, given)
	own = traffic(t, get(t, n, third.ID))
	if own.Scope != "pinned" || own.Owner != path || !slices.Contains(own.Pins, path) || !sameIDs(userIDs(own), one.ID, other.ID) {
		t.Errorf("of a pinned map: %+v", own)
	}
	if own = traffic(t, get(t, n, other.ID)); !sameIDs(userIDs(own), one.ID, third.ID) {
		t.Errorf("with a third user: %+v", own)
	}
	nodetest.Unload(t, n, third.ID)

	manual := first.Manual("count", 90)
	manual.Program.Maps = map[string]config.MapSettings{"traffic": {Scope: config.ScopeNode}}
	fourth := nodetest.Load(t, n, manual)
	if own = traffic(t, get(t, n, fourth.ID)); own.Scope != "node" || own.Owner != "members loaded by hand" || len(own.Users) > 0 {
		t.Errorf("of a map loaded manually: %+v", own)
	}
	nodetest.Unload(t, n, fourth.ID)
	first.Remove(t, n)
	second.Remove(t, n)
}

func traffic(t *testing.T, d inspect.Detail) inspect.MemberMap {
	t.Helper()
	i := slices.IndexFunc(d.Maps, func(m inspect.MemberMap) bool { return m.Name == "traffic" })
	if i < 0 {
		t.Fatalf("no map traffic in %+v", d.Maps)
	}
	return d.Maps[i]
}

func userIDs(m inspect.MemberMap) (ids []record.ID) {
	for _, u := range m.Users {
		ids = append(ids, u.ID)
	}
	return ids
}

func sameIDs(got []record.ID, want ...record.ID) bool {
	slices.Sort(got)
	slices.Sort(want)
	return slices.Equal(got, want)
}

// A program that others took off and that is gone is said to be, and the rest is told.
func TestGetOfAChainThatIsGone(t *testing.T) {
	testenv.KernelIndependent(t)
	n, p := node.Default(), nodetest.NewPod(t, 0)
	p.Attach = chain.AttachNetlink
	m := p.Load(t, n, "count", 0)
	iface := p.Open(t, config.PodSide)
	defer iface.NetNS.Close()
	program, err := ebpf.NewProgramFromID(p.Attached(t, config.PodSide).ProgramID)
	if err != nil {
		t.Fatal(err)
	}
	err = errors.Join(iface.DetachNetlink(program, chain.ModeNative), program.Close())
	if err != nil {
		t.Fatal(err)
	}
	var d inspect.Detail
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(10 * time.Millisecond) { // it is freed after a grace period
		if d = get(t, n, m.ID); d.Kernel == nil || time.Now().After(deadline) {
			break
		}
	}
	if d.Kernel != nil || !strings.Contains(d.KernelReason, "is gone") || len(d.MapIDs) == 0 {
		t.Errorf("got %+v, %q, maps %v", d.Kernel, d.KernelReason, d.MapIDs)
	}
	nodetest.Unload(t, n, m.ID)
}
