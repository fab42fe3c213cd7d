// SPDX-License-Identifier: Apache-2.0

package lessons

import (
	"maps"
	"path/filepath"
	"strings"
	"testing"

	"github.com/xdp-chain/xdp-chain/internal/plugintest"
	"github.com/xdp-chain/xdp-chain/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// fields are the fields of a plugin's entry, or of any JSON object.
type fields = plugintest.Fields

// eachDispatcher runs a test with both dispatchers, or with the one that the kernel can. In
// the lab, which is slow, there is libxdp's alone, which other machines may not have, and
// the last of its kernels alone.
func eachDispatcher(t *testing.T, test func(t *testing.T, dispatcher string)) {
	t.Helper()
	_, kernels := testenv.Shard(t)
	testenv.ShardByKernel(t, kernels-1)
	for _, dispatcher := range []string{"linked", "libxdp"} {
		if dispatcher == "linked" && testing.Short() {
			continue
		}
		t.Run(dispatcher, func(t *testing.T) {
			testenv.NoLeaks(t)
			if dispatcher == "libxdp" {
				testenv.NeedFreplace(t)
			}
			test(t, dispatcher)
		})
	}
}

// object returns the path of a compiled lesson, in a place and with a mode that the
// plugin accepts whatever the checkout's are.
func object(t *testing.T, name string) string {
	t.Helper()
	return plugintest.CopyOf(t, filepath.Join("bpf", name))
}

// member is a program of a lesson, called as its function. It stands between front and
// behind, at the default priority.
func member(t *testing.T, file, function string, more fields) fields {
	t.Helper()
	m := fields{"name": strings.ReplaceAll(function, "_", "-"), "object": object(t, file), "function": function}
	maps.Copy(m, more)
	return m
}

// front is the built-in that counts what enters a chain.
func front() fields { return fields{"name": "count", "priority": 10} }

// behind counts what reaches the end of a chain.
func behind(t *testing.T) fields {
	t.Helper()
	return fields{"name": "behind", "object": object(t, "counter.o"), "function": "count_actions", "priority": 90}
}

// chain gives a pod a chain of programs in native mode, until the test ends, and returns
// its configuration.
func chain(t *testing.T, p *plugintest.Pod, dispatcher string, programs ...fields) fields {
	t.Helper()
	conf := p.Chained(fields{"dispatcher": dispatcher, "mode": "native"}, programs...)
	p.Must(t, "ADD", conf)
	t.Cleanup(func() { p.Must(t, "DEL", conf) })
	p.Must(t, "CHECK", conf)
	return conf
}

// onHost puts programs on the host's end of a pod's veth pair: they see what it sends.
func onHost(programs ...fields) []fields {
	for _, p := range programs {
		p["side"] = "host"
	}
	return programs
}
