// SPDX-License-Identifier: Apache-2.0

package cnitool

import (
	"bytes"
	"context"
	"crypto/sha512"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/containernetworking/cni/libcni"
	"github.com/containernetworking/cni/pkg/types"
	"github.com/vishvananda/netlink"

	"github.com/xdp-chain/xdp-chain/internal/plugintest"
)

// runtime is a container runtime's side of CNI for one network.
type runtime interface {
	// add, check and del run a verb for a pod; the error is the plugin's.
	add(p *plugintest.Pod) error
	check(p *plugintest.Pod) error
	del(p *plugintest.Pod) error
	// containerID is what the plugins hear of the pod.
	containerID(p *plugintest.Pod) string
}

// runtimes makes each kind of runtime for a list of plugins.
var runtimes = []struct {
	name string
	make func(t *testing.T, list fields) runtime
}{
	{"libcni", func(t *testing.T, list fields) runtime { return newLibcni(t, list) }},
	{"cnitool", func(t *testing.T, list fields) runtime { return newCnitool(t, list) }},
}

// inLibcni is a runtime that uses libcni as containerd and CRI-O do, with its
// cache of results.
type inLibcni struct {
	cni  *libcni.CNIConfig
	list *libcni.NetworkConfigList
}

func newLibcni(t *testing.T, list fields) *inLibcni {
	t.Helper()
	r := &inLibcni{cni: libcni.NewCNIConfigWithCacheDir(cniPath(t), t.TempDir(), nil)}
	r.configure(t, list)
	return r
}

// configure changes the network's configuration, as an admin's new file does.
func (r *inLibcni) configure(t *testing.T, list fields) {
	t.Helper()
	var err error
	if r.list, err = libcni.NetworkConfFromBytes(encode(t, list)); err != nil {
		t.Fatal(err)
	}
}

func (r *inLibcni) runtimeConf(p *plugintest.Pod) *libcni.RuntimeConf {
	return &libcni.RuntimeConf{ContainerID: p.ID, NetNS: p.NetNS, IfName: p.Ifname, Args: argPairs(p), CapabilityArgs: capabilityArgs(p)}
}

func (r *inLibcni) add(p *plugintest.Pod) error {
	_, err := r.cni.AddNetworkList(context.Background(), r.list, r.runtimeConf(p))
	return err
}

func (r *inLibcni) check(p *plugintest.Pod) error {
	return r.cni.CheckNetworkList(context.Background(), r.list, r.runtimeConf(p))
}

func (r *inLibcni) del(p *plugintest.Pod) error {
	return r.cni.DelNetworkList(context.Background(), r.list, r.runtimeConf(p))
}

func (r *inLibcni) containerID(p *plugintest.Pod) string { return p.ID }

// inCnitool is cnitool: another process for each verb, another id for the pod.
type inCnitool struct {
	binary string
	name   string
	env    []string
}

func newCnitool(t *testing.T, list fields) *inCnitool {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "10-test.conflist"), encode(t, list), 0o600); err != nil {
		t.Fatal(err)
	}
	return &inCnitool{
		binary: peer(t, "cnitool"), name: list["name"].(string),
		env: append(os.Environ(), "NETCONFPATH="+dir, "CNI_PATH="+strings.Join(cniPath(t), ":")),
	}
}

func (r *inCnitool) run(verb string, p *plugintest.Pod) error {
	cmd := exec.Command(r.binary, verb, r.name, p.NetNS)
	capabilities, err := json.Marshal(capabilityArgs(p))
	if err != nil {
		return err
	}
	cmd.Env = append(r.env, "CNI_IFNAME="+p.Ifname, "CNI_ARGS="+p.Args, "CAP_ARGS="+string(capabilities))
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%w: %s", err, output.Bytes())
	}
	return nil
}

func (r *inCnitool) add(p *plugintest.Pod) error   { return r.run("add", p) }
func (r *inCnitool) check(p *plugintest.Pod) error { return r.run("check", p) }
func (r *inCnitool) del(p *plugintest.Pod) error   { return r.run("del", p) }

// containerID is made from the path alone, cnitool's root.go.
func (r *inCnitool) containerID(p *plugintest.Pod) string {
	sum := sha512.Sum512([]byte(p.NetNS))
	return fmt.Sprintf("cnitool-%x", sum[:10])
}

func argPairs(p *plugintest.Pod) [][2]string {
	var pairs [][2]string
	for _, pair := range strings.Split(p.Args, ";") {
		name, value, _ := strings.Cut(pair, "=")
		pairs = append(pairs, [2]string{name, value})
	}
	return pairs
}

// capabilityArgs is what Kubernetes' runtimes have for the capabilities of plugins.
func capabilityArgs(p *plugintest.Pod) map[string]any {
	return map[string]any{plugintest.PodAnnotations: p.Annotations, "portMappings": []fields{}}
}

// cniPath is where a runtime finds our plugin and those before it.
func cniPath(t *testing.T) []string {
	t.Helper()
	return []string{filepath.Dir(plugintest.Binary(t, "xdp-chain")), filepath.Dir(peer(t, "bridge"))}
}

func encode(t *testing.T, value any) []byte {
	t.Helper()
	content, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// gc collects what is not in valid; nil hands the plugins no list at all.
func (r *inLibcni) gc(valid []types.GCAttachment) error {
	var args *libcni.GCArgs
	if valid != nil {
		args = &libcni.GCArgs{ValidAttachments: valid}
	}
	return r.cni.GCNetworkList(context.Background(), r.list, args)
}

// start adds a pod and makes sure that it is deleted at the end at the latest.
func start(t *testing.T, r runtime) *plugintest.Pod {
	t.Helper()
	return startWith(t, r, nil)
}

// startWith is start for a pod with annotations.
func startWith(t *testing.T, r runtime, annotations map[string]string) *plugintest.Pod {
	t.Helper()
	p := plugintest.NewPod(t)
	p.Annotations = annotations
	t.Cleanup(func() {
		if err := r.del(p); err != nil {
			t.Errorf("deleting %s at the end: %v", p.ID, err)
		}
	})
	if err := r.add(p); err != nil {
		t.Fatalf("adding %s: %v", p.ID, err)
	}
	return p
}

// family is what one version of IP means for the plugins and for the test.
type family struct {
	name    string
	subnet  string
	gateway string
	any     string
}

var families = []family{
	{"IPv4", "10.88.0.0/24", "10.88.0.1", "0.0.0.0/0"},
	{"IPv6", "fd00:88::/64", "fd00:88::1", "::/0"},
}

// pluginList is a network of a first plugin and ours. host-local keeps its
// addresses in a folder of the test.
func pluginList(t *testing.T, first, cniVersion string, f family, ours fields) fields {
	t.Helper()
	ipam := fields{
		"type": "host-local", "dataDir": t.TempDir(),
		"ranges": [][]fields{{{"subnet": f.subnet, "gateway": f.gateway}}},
		"routes": []fields{{"dst": f.any}},
	}
	plugin := fields{"type": first, "ipam": ipam}
	if first == "bridge" {
		plugin["bridge"], plugin["isGateway"] = "cni0", true
		t.Cleanup(func() { removeBridge(t) })
	}
	return fields{"cniVersion": cniVersion, "name": plugintest.Network, "plugins": []fields{plugin, ours}}
}

// ours is our plugin's entry in such a list.
func ours(more fields, programs ...fields) fields {
	e := plugintest.Entry(more, programs...)
	delete(e, "cniVersion")
	delete(e, "name")
	return e
}

// removeBridge takes away the bridge that the bridge plugin leaves for the next
// pod, so that the next test finds none.
func removeBridge(t *testing.T) {
	t.Helper()
	link, err := netlink.LinkByName("cni0")
	if err != nil {
		return // no pod was made
	}
	if err := netlink.LinkDel(link); err != nil {
		t.Error(err)
	}
}
