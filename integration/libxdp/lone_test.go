// SPDX-License-Identifier: Apache-2.0

package libxdp

import "testing"

// libxdp puts a lone program in the place of its whole dispatcher, so that the
// program's own verdict is final. Where the meaning of a chain is another one, ours
// has to hold, and xdp-loader has to see one member either way.
func TestLoneMember(t *testing.T) {
	tests := []struct {
		name      string
		proceedOn []string
		verdict   uint8
		trace     string
	}{
		{"passes", nil, pass, "a"},
		{"drops", nil, drop, "-"},
		{"drops and goes on", []string{"drop"}, drop, "a"},
		{"aborts and goes on", []string{"aborted"}, aborted, "a"},
		{"returns and goes on", nil, 31, "a"},
		{"returns, which is final", []string{"pass"}, 31, "-"},
		{"beyond what a mask can say", []string{"pass"}, 32 + pass, "-"},
	}
	p := wired(t, 0)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := marking(t, "a", 10)
			if tt.proceedOn != nil {
				a["proceedOn"] = tt.proceedOn
			}
			conf := p.Chained(inLibxdp, a)
			p.Must(t, "ADD", conf)
			wantTrace(t, p, verdicts{"a": tt.verdict}, tt.trace)
			wantMembers(t, chainTools(t, p), "mark_a")
			p.Must(t, "CHECK", conf)
			p.Must(t, "DEL", conf)
		})
	}
}

// The same verdicts with a member behind.
func TestFirstOfTwo(t *testing.T) {
	tests := []struct {
		name      string
		proceedOn []string
		verdict   uint8
		trace     string
	}{
		{"goes on", nil, pass, "ab"},
		{"is final", nil, drop, "-"},
		{"drops and goes on", []string{"drop"}, drop, "ab"},
		{"returns and goes on", nil, 31, "ab"},
		{"returns, which is final", []string{"pass"}, 31, "-"},
		{"beyond what a mask can say", []string{"pass"}, 32 + pass, "-"},
	}
	p := wired(t, 0)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := marking(t, "a", 10)
			if tt.proceedOn != nil {
				a["proceedOn"] = tt.proceedOn
			}
			conf := p.Chained(inLibxdp, a, marking(t, "b", 20))
			p.Must(t, "ADD", conf)
			wantTrace(t, p, verdicts{"a": tt.verdict}, tt.trace)
			p.Must(t, "DEL", conf)
		})
	}
}
