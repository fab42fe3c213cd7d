// SPDX-License-Identifier: Apache-2.0

package libxdp

import (
	"testing"

	"github.com/xdp-chain/xdp-chain/internal/plugintest"
)

// `xdp-loader clean` removes the pins of interfaces that it does not find. Run in
// another namespace it finds none of a pod's: that must not take the pod's chain
// apart.
func TestCleanElsewhere(t *testing.T) {
	p, other := wired(t, 0), plugintest.WiredPod(t, 0)
	confs := map[*plugintest.Pod]fields{p: twoOfOurs(t, p), other: twoOfOurs(t, other)}
	for pod, conf := range confs {
		pod.Must(t, "ADD", conf)
		chainTools(t, pod).load(t, "b", 20)
	}
	elsewhere := chainTools(t, other)
	for _, x := range []tools{{}, podTools(p), podTools(other), elsewhere} {
		x.run(t, "xdp-loader", "clean")
	}
	for pod, conf := range confs {
		wantTrace(t, pod, nil, "abe")
		pod.Must(t, "CHECK", conf)
		wantMembers(t, chainTools(t, pod), "mark_a", "mark_b", "mark_e")
	}
	for pod, conf := range confs {
		pod.Must(t, "DEL", conf)
		wantTrace(t, pod, nil, "b")
		vanish(t, pod)
	}
}

// Told to clean a pod's tree from another namespace it removes the pins. Our members
// go on, CHECK misses the pins, and ADD makes them again.
func TestCleanOfThePodsTreeElsewhere(t *testing.T) {
	p := wired(t, 0)
	conf := twoOfOurs(t, p)
	p.Must(t, "ADD", conf)
	x := chainTools(t, p)
	wrong := x
	wrong.netns = ""
	wrong.run(t, "xdp-loader", "clean")
	wantTrace(t, p, nil, "ae")
	wantTrace(t, p, verdicts{"a": drop}, "-")
	wantDifference(t, p, conf, "pins")
	p.Must(t, "ADD", conf)
	p.Must(t, "CHECK", conf)
	wantTrace(t, p, nil, "ae")
	wantMembers(t, x, "mark_a", "mark_e")
	wrong.run(t, "xdp-loader", "clean")
	p.Must(t, "DEL", conf)
	wantTrace(t, p, nil, "")
}
