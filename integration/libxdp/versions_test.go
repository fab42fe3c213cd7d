// SPDX-License-Identifier: Apache-2.0

package libxdp

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/google/go-cmp/cmp"

	"github.com/xdp-chain/xdp-chain/internal/plugintest"
	"github.com/xdp-chain/xdp-chain/internal/testenv"
)

// A chain asked for in version 3 has it for life. xdp-tools 1.3.1 cannot read it, and
// changes nothing.
func TestVersionThree(t *testing.T) {
	p := wired(t, 0)
	conf := p.Chained(fields{"dispatcher": "libxdp", "libxdpVersion": 3}, marking(t, "a", 10), marking(t, "c", 30))
	p.Must(t, "ADD", conf)
	wantVersion(t, p, 3)
	x := chainTools(t, p)
	x.refuse(t, "xdp-loader", "load", x.ifname, "testdata/mark.o", "-n", "mark_b")
	wantTrace(t, p, nil, "ac")
	other := second(p, nil, marking(t, "b", 20))
	p.Must(t, "ADD", other)
	wantVersion(t, p, 3)
	wantTrace(t, p, nil, "abc")
	p.Refuse(t, "ADD", second(p, fields{"libxdpVersion": 2}, marking(t, "d", 20)), 101, "version 3", "2 is asked for")
	p.Must(t, "DEL", conf)
	wantVersion(t, p, 3)
	p.Must(t, "CHECK", other)
	p.Must(t, "DEL", other)
}

// A chain that xdp-loader made has version 2, and so has what we make of it.
func TestVersionTwoStays(t *testing.T) {
	p := wired(t, 0)
	podTools(p).load(t, "b", 20)
	wantVersion(t, p, 2)
	conf := p.Chained(nil, marking(t, "a", 10))
	p.Must(t, "ADD", conf)
	wantVersion(t, p, 2)
	p.Must(t, "DEL", conf)
	wantVersion(t, p, 2)
	vanish(t, p)
}

// A dispatcher of version 1 is read, by xdp-loader as by us, and changed by neither.
func TestVersionOneIsLeftAlone(t *testing.T) {
	p := wired(t, 0)
	attachVersionOne(t, p, "mark_a", "mark_b")
	x := podTools(p)
	want := []shown{
		{name: "mark_a", priority: 10, actions: "XDP_PASS"},
		{name: "mark_b", priority: 20, actions: "XDP_DROP"},
	}
	if diff := cmp.Diff(want, x.status(t).unnumbered(), cmp.AllowUnexported(shown{})); diff != "" {
		t.Errorf("status (-want +got):\n%s", diff)
	}
	on := p.XDP(t)
	for _, config := range []fields{nil, inLibxdp} {
		p.Refuse(t, "ADD", p.Chained(config, marking(t, "a", 10)), 101, fmt.Sprint(on.Program), "version 1", "--all")
	}
	x.refuse(t, "xdp-loader", "load", x.ifname, "testdata/mark.o", "-n", "mark_c")
	if now := p.XDP(t); now != on {
		t.Errorf("%+v became %+v", on, now)
	}
	x.unloadAll(t)
}

// wantVersion reads the version out of the config of the dispatcher on the pod's end:
// byte 0 is 236, byte 1 the version, in the forms after the first.
func wantVersion(t *testing.T, p *plugintest.Pod, want uint8) {
	t.Helper()
	if config := dispatcherConfig(t, p); config[0] != 236 || config[1] != want {
		t.Errorf("the dispatcher's config begins with %v, want version %d", config[:4], want)
	}
}

// dispatcherConfig is struct xdp_dispatcher_config of the dispatcher on the pod's end,
// the content of its only map.
func dispatcherConfig(t *testing.T, p *plugintest.Pod) []byte {
	t.Helper()
	program, err := ebpf.NewProgramFromID(ebpf.ProgramID(p.XDP(t).Program))
	if err != nil {
		t.Fatal(err)
	}
	defer program.Close()
	info, err := program.Info()
	if err != nil {
		t.Fatal(err)
	}
	ids, _ := info.MapIDs()
	if len(ids) != 1 {
		t.Fatalf("the dispatcher uses %d maps, want 1", len(ids))
	}
	m, err := ebpf.NewMapFromID(ids[0])
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	config, err := m.LookupBytes(uint32(0))
	if err != nil {
		t.Fatal(err)
	}
	return config
}

// attachVersionOne puts a dispatcher of version 1 on the pod's end as libxdp 1.2 did:
// loaded with all its types, by netlink, and with a pin for each program that it calls.
func attachVersionOne(t *testing.T, p *plugintest.Pod, functions ...string) {
	t.Helper()
	const pinned = "/sys/fs/bpf/dispatcher"
	x := podTools(p)
	x.run(t, "bpftool", "prog", "load", "../../pkg/dispatcher/libxdp/testdata/v1.o", pinned, "type", "xdp")
	x.run(t, "ip", "link", "set", "dev", p.Ifname, "xdpdrv", "pinned", pinned)
	if err := os.Remove(pinned); err != nil {
		t.Fatal(err)
	}
	folder := filepath.Join(plainTree, fmt.Sprintf("dispatch-%d-%d", podIfindex(t, p), p.XDP(t).Program))
	if err := os.MkdirAll(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	for i, function := range functions {
		// Nobody opens what is called a link, and this dispatcher has no function to
		// replace.
		for _, what := range []string{"prog", "link"} {
			program := loadProgram(t, "testdata/mark.o", function)
			if err := program.Pin(filepath.Join(folder, fmt.Sprintf("prog%d-%s", i, what))); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// loadProgram loads one program of an object.
func loadProgram(t *testing.T, path, name string) *ebpf.Program {
	t.Helper()
	spec, err := ebpf.LoadCollectionSpec(path)
	if err != nil {
		t.Fatal(err)
	}
	program, err := ebpf.NewProgram(spec.Programs[name])
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { program.Close() })
	return program
}

func podIfindex(t *testing.T, p *plugintest.Pod) (index int) {
	t.Helper()
	testenv.InNetNS(t, p.NetNS, func() error {
		iface, err := net.InterfaceByName(p.Ifname)
		if err == nil {
			index = iface.Index
		}
		return err
	})
	return index
}
