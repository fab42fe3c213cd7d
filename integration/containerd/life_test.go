// SPDX-License-Identifier: Apache-2.0

package containerd

import "testing"

func TestLife(t *testing.T) {
	onEach(t, func(t *testing.T, r release) {
		s := serve(t, r, chained(nil, fields{"name": "count"}))
		p := s.mustRun(t, "web", nil)
		t.Log(p.ip, p.NetNS, p.pid, p.ChainOn(t, "pod"))
		t.Log(s.output(t, p, look))
		s.mustRemove(t, p.ID)
	})
}
