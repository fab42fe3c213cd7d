// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"math"
	"testing"

	"github.com/xdp-chain/xdp-chain/integration/bench/report"
	"github.com/xdp-chain/xdp-chain/integration/bench/workload"
	"github.com/xdp-chain/xdp-chain/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// Every section runs, measures something everywhere, and leaves nothing; what has
// to be right whatever the machine does is right.
func TestSections(t *testing.T) {
	if testenv.InLab() {
		t.Skip("runs on the machine itself: it builds what it measures")
	}
	root, err := checkout()
	if err != nil {
		t.Fatal(err)
	}
	if err := prepare(root); err != nil {
		testenv.Skip(t, "the plugins cannot be built: "+err.Error())
	}
	if err := workload.InstallObjects(); err != nil {
		t.Fatal(err)
	}
	z := sizes{bin: binDir(root), podRounds: 1, packetRounds: 1, packetRepeat: 1000, swaps: 5, tcpRounds: 1, crowd: 3, crowdEnds: 1, burst: 3, burstRounds: 1, annotationRounds: 1, loadsFirst: 1, loads: 5, commandRounds: 1}
	for _, m := range measurements {
		t.Run(m.name, func(t *testing.T) {
			testenv.NoLeaks(t)
			s, err := m.measure(context.Background(), z)
			if err != nil {
				t.Fatal(err)
			}
			if s.Name != m.name || len(s.Figures) == 0 {
				t.Errorf("section %q has %d figures", s.Name, len(s.Figures))
			}
			for _, f := range s.Figures {
				checkFigure(t, f)
			}
		})
	}
}

func checkFigure(t *testing.T, f *report.Figure) {
	t.Helper()
	if math.IsNaN(f.Value) || math.IsInf(f.Value, 0) {
		t.Errorf("%s is %v", f.Name, f.Value)
	}
	// No time is a target in a test, and others' programs come and go beside it; but no
	// packet may be lost in one, and no file left.
	if (f.Unit == "packets" || f.Unit == "files") && f.Met != nil && !*f.Met {
		t.Errorf("%s: %.0f %s, want at most %g", f.Name, f.Value, f.Unit, *f.AtMost)
	}
}
