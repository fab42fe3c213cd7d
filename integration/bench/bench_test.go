// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
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
	z.against, z.crowd = z.bin, 4
	for name, want := range map[string][]string{
		"pods":     {"ADD chain of 10", "DEL chain of 10", "start of xdp-chain"},
		"crowd":    {"ADD chain of 10", "DEL chain of 10"},
		"commands": {"xdpctl version", "xdpctl list", "xdpctl list -o json", "xdpctl status"},
	} {
		t.Run(name+" against another build", func(t *testing.T) {
			testenv.NoLeaks(t)
			checkRatios(t, name, want, z)
		})
	}
}

// checkRatios runs a section for two builds and looks for the figures that compare them.
func checkRatios(t *testing.T, name string, want []string, z sizes) {
	t.Helper()
	var got []string
	for _, m := range measurements {
		if m.name != name {
			continue
		}
		s, err := m.measure(context.Background(), z)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range s.Figures {
			checkFigure(t, f)
			if what, ok := strings.CutSuffix(f.Name, ", this build / the other"); ok && f.Value > 0 && f.MiddleHalf != nil {
				got = append(got, what)
			}
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("ratios (-want +got):\n%s", diff)
	}
}

// Another build is compared where that is possible, and nowhere else without a word.
func TestCheckAgainst(t *testing.T) {
	empty, full := t.TempDir(), t.TempDir()
	for _, name := range []string{"xdp-chain", "xdpctl"} {
		if err := os.WriteFile(filepath.Join(full, name), nil, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		dir        string
		only, want []string
		refused    string
	}{
		{full, nil, []string{"pods", "crowd", "commands"}, ""},
		{full, []string{"commands"}, []string{"commands"}, ""},
		{full, []string{"pods", "packets"}, nil, "section packets does not compare builds; pods, crowd, commands do"},
		{full, []string{"insns"}, nil, "section insns does not"},
		{empty, nil, nil, "binaries xdp-chain and xdpctl"},
	} {
		_, got, err := checkAgainst(tt.dir, tt.only)
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%v: sections (-want +got):\n%s", tt.only, diff)
		}
		if (err == nil) != (tt.refused == "") || err != nil && !strings.Contains(err.Error(), tt.refused) {
			t.Errorf("%v: error %v, want %q", tt.only, err, tt.refused)
		}
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
