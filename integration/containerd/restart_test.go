// SPDX-License-Identifier: Apache-2.0

package containerd

import (
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// A containerd that ends, or is killed, leaves the pods with their chains. The next
// one takes them away.
func TestContainerdEndsBetweenADDAndDEL(t *testing.T) {
	onEach(t, func(t *testing.T, r release) {
		s := serve(t, r, chained(nil, closing()))
		for _, signal := range []unix.Signal{unix.SIGTERM, unix.SIGKILL} {
			t.Run(unix.SignalName(signal), func(t *testing.T) {
				p := s.mustRun(t, strings.ToLower(unix.SignalName(signal)), nil)
				s.stop(t, signal)
				wantFiltered(t, p)
				s.start(t)
				wantFiltered(t, p)
				s.mustRemove(t, p.ID)
				s.wantNothing(t)
			})
		}
	})
}
