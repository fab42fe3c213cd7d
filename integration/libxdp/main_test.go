// SPDX-License-Identifier: Apache-2.0

package libxdp

import (
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/xdp-chain/xdp-chain/internal/plugintest"
	"github.com/xdp-chain/xdp-chain/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// fields are the fields of a plugin's entry, or of any JSON object.
type fields = plugintest.Fields

// wired begins a test: it makes a pod with a veth pair, on a machine that can do
// what the suites are about. mtu 0 is the kernel's 1500.
func wired(t *testing.T, mtu int) *plugintest.Pod {
	t.Helper()
	testenv.NoLeaks(t)
	testenv.NeedFreplace(t)
	for _, tool := range []string{"xdp-loader", "xdp-filter", "xdpdump", "nsenter"} {
		if _, err := exec.LookPath(tool); err != nil {
			testenv.Skip(t, "needs xdp-tools and util-linux: "+err.Error())
		}
	}
	return plugintest.WiredPod(t, mtu)
}

// object returns the path of a test object, in a place and with a mode that the
// plugin accepts whatever the checkout's are.
func object(t *testing.T, name string) string {
	t.Helper()
	return plugintest.CopyOf(t, filepath.Join("testdata", name))
}

// inLibxdp are the fields of a configuration that asks for libxdp's dispatcher.
var inLibxdp = fields{"dispatcher": "libxdp"}

// marking is a member of the plugin's that signs with the letter, which is its name
// too.
func marking(t *testing.T, letter string, priority int) fields {
	t.Helper()
	return fields{"name": letter, "object": object(t, "mark.o"), "function": "mark_" + letter, "priority": priority}
}

// second is a configuration of another network for the same interface of the pod, so
// that its members have an owner of their own.
func second(p *plugintest.Pod, more fields, programs ...fields) fields {
	conf := p.Chained(more, programs...)
	conf["name"] = "othernet"
	return conf
}

// vanish ends the pod as a runtime that lost it would: its namespace goes, and GC
// collects what is dead.
func vanish(t *testing.T, p *plugintest.Pod) {
	t.Helper()
	p.Vanish(t)
	(&plugintest.Pod{}).Must(t, "GC", plugintest.Entry(fields{"cniVersion": "1.1.0"}))
}

// whose lists the members of the pod's chain with the kind of their owner.
func whose(t *testing.T, p *plugintest.Pod) []string {
	t.Helper()
	var list []string
	for _, m := range p.ChainOn(t, "pod").Members {
		list = append(list, m.Owner.Kind+" "+m.Name)
	}
	return list
}

func wantWhose(t *testing.T, p *plugintest.Pod, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, whose(t, p)); diff != "" {
		t.Errorf("xdpctl lists other members (-want +got):\n%s", diff)
	}
}

// wantDifference has CHECK find a difference and name it by these words.
func wantDifference(t *testing.T, p *plugintest.Pod, conf fields, words ...string) {
	t.Helper()
	_, err := p.Call(t, "CHECK", conf)
	if err == nil {
		t.Errorf("CHECK finds nothing, want %q", words)
		return
	}
	plugintest.WantError(t, "CHECK", err, err.Code, words...)
}
