// SPDX-License-Identifier: Apache-2.0

package resolve_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/xdp-chain/xdp-chain/internal/catalog"
	"github.com/xdp-chain/xdp-chain/internal/config"
	"github.com/xdp-chain/xdp-chain/internal/node"
	"github.com/xdp-chain/xdp-chain/internal/node/nodetest"
	"github.com/xdp-chain/xdp-chain/internal/node/resolve"
	"github.com/xdp-chain/xdp-chain/pkg/object"
)

func from100(p config.Program) config.Program {
	p.Band = &config.Band{Min: 100, Max: 199}
	return p
}

// What a pod's annotation names is judged once more when its object is known.
func TestPolicyOnSettledMembers(t *testing.T) {
	final := "name: pass\nproceedOn: [drop]\n"
	sends := "name: pass\ntransmits: true\n"
	globals := func(settable string) string {
		return nodetest.Entry(t, "tuned", "globals.o", "function: globals\nsettable: {"+settable+"}")
	}
	tests := []struct {
		name    string
		entries []string
		wants   []config.Program
		err     error // nil: it is taken
		says    []string
	}{
		{"default priority", nil, []config.Program{from100(config.Program{Name: "drop"})}, config.ErrPolicy, []string{"priority 50", "100 to 199", "gives none"}},
		{"own priority", nil, []config.Program{from100(nodetest.At(99, "drop"))}, config.ErrPolicy, []string{`"drop"`, "priority 99", "100 to 199"}},
		{"priority in the band", nil, []config.Program{from100(nodetest.At(100, "drop"))}, nil, nil},
		{
			"object's own priority",
			[]string{nodetest.Entry(t, "configured", "runconfig.o", "function: both")},
			[]config.Program{from100(config.Program{Name: "configured"})},
			config.ErrPolicy,
			[]string{"priority 10", "100 to 199"},
		},
		{
			"object's own priority over the catalog's",
			[]string{nodetest.Entry(t, "configured", "runconfig.o", "function: both\npriority: 150")},
			[]config.Program{from100(config.Program{Name: "configured"})},
			nil,
			nil,
		},

		{"drops in front", nil, []config.Program{nodetest.At(20, "acl"), nodetest.Asked(nodetest.At(10, "drop"))}, nil, nil},
		{"lets by in front", []string{final}, []config.Program{nodetest.At(20, "acl"), nodetest.Asked(nodetest.At(10, "pass"))}, config.ErrPolicy, []string{`"pass" (priority 10)`, `"acl" (priority 20)`, "proceed on pass"}},
		{"lets by behind", []string{final}, []config.Program{nodetest.At(20, "acl"), nodetest.Asked(nodetest.At(30, "pass"))}, nil, nil},
		{"lets by between", []string{final}, []config.Program{nodetest.At(20, "acl"), nodetest.Asked(nodetest.At(30, "pass")), nodetest.At(40, "count")}, config.ErrPolicy, []string{`"count" (priority 40)`}},
		{"lets by, equal, name first", []string{final}, []config.Program{nodetest.At(30, "ratelimit"), nodetest.Asked(nodetest.At(30, "pass"))}, config.ErrPolicy, []string{`"ratelimit"`}},
		{"lets by, equal, name last", []string{final}, []config.Program{nodetest.At(30, "acl"), nodetest.Asked(nodetest.At(30, "pass"))}, nil, nil},
		{"sends in front", []string{sends}, []config.Program{nodetest.At(20, "acl"), nodetest.Asked(nodetest.At(10, "pass"))}, config.ErrPolicy, []string{"sends packets itself"}},
		{"sends behind", []string{sends}, []config.Program{nodetest.At(20, "acl"), nodetest.Asked(nodetest.At(30, "pass"))}, nil, nil},
		{"lets by in front of another pod's choice", []string{final}, []config.Program{nodetest.Asked(nodetest.At(20, "acl")), nodetest.Asked(nodetest.At(10, "pass"))}, nil, nil},
		{"lets by on the other side", []string{final}, []config.Program{nodetest.OnHost(nodetest.At(20, "acl")), nodetest.Asked(nodetest.At(10, "pass"))}, nil, nil},
		{"the network's own lets by", []string{final}, []config.Program{nodetest.Asked(nodetest.At(20, "acl")), nodetest.At(10, "pass")}, nil, nil},

		{"bounds fit", []string{globals("u8: {min: 0, max: 255}, s16: {min: -32768, max: 32767}, color: {min: 0, max: 7}")}, []config.Program{nodetest.Asked(config.Program{Name: "tuned"})}, nil, nil},
		{"values fit", []string{globals(`color: {values: [RED, BLUE]}, flag: {values: [true]}, ip: {values: ["10.0.0.1", "${pod.ip}"]}`)}, []config.Program{nodetest.Asked(config.Program{Name: "tuned"})}, nil, nil},
		{"no such variable", []string{globals("speed: {min: 1, max: 2}")}, []config.Program{nodetest.Asked(config.Program{Name: "tuned"})}, object.ErrUnusable, []string{"0.yaml", "settable", "global speed", "no such variable"}},
		{"upper bound does not fit", []string{globals("u8: {min: 0, max: 256}")}, []config.Program{nodetest.Asked(config.Program{Name: "tuned"})}, object.ErrUnusable, []string{"0.yaml", "settable", "global u8", "256", "0 to 255"}},
		{"lower bound does not fit", []string{globals("u8: {min: -1, max: 255}")}, []config.Program{nodetest.Asked(config.Program{Name: "tuned"})}, object.ErrUnusable, []string{"global u8", "-1"}},
		{"bounds of a text", []string{globals("name: {min: 1, max: 2}")}, []config.Program{nodetest.Asked(config.Program{Name: "tuned"})}, object.ErrUnusable, []string{"global name", "char[8]"}},
		{"bounds of a switch", []string{globals("flag: {min: 0, max: 1}")}, []config.Program{nodetest.Asked(config.Program{Name: "tuned"})}, object.ErrUnusable, []string{"global flag", "true or false"}},
		{"a value does not fit", []string{globals("color: {values: [RED, PINK]}")}, []config.Program{nodetest.Asked(config.Program{Name: "tuned"})}, object.ErrUnusable, []string{"settable", "global color", "PINK"}},
		{"the network's own has nothing settable", []string{globals("speed: {min: 1, max: 2}")}, []config.Program{{Name: "tuned"}}, nil, nil},

		{"object missing", []string{"name: tuned\nobject: /nowhere/tuned.o"}, []config.Program{nodetest.Asked(config.Program{Name: "tuned"})}, object.ErrUnusable, []string{"0.yaml", "/nowhere/tuned.o"}},
		{"function missing", []string{nodetest.Entry(t, "tuned", "several.o", "")}, []config.Program{nodetest.Asked(config.Program{Name: "tuned"})}, object.ErrUnusable, []string{"0.yaml", "several.o"}},
		{"the entry's own global does not fit", []string{nodetest.Entry(t, "tuned", "globals.o", "function: globals\nglobals: {u8: 256}")}, []config.Program{nodetest.Asked(config.Program{Name: "tuned"})}, object.ErrUnusable, []string{"0.yaml", "global u8"}},
		{"unknown", nil, []config.Program{nodetest.Asked(config.Program{Name: "tuned"})}, catalog.ErrUnknown, []string{`"tuned"`}},
		{"broken", []string{"name: acl\npriority: first"}, []config.Program{{Name: "acl"}}, catalog.ErrBroken, []string{"0.yaml:2", "priority"}},
		{"broken, and not needed", []string{"name: acl\npriority: first"}, []config.Program{{Name: "count"}}, nil, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, _ := nodetest.Catalog(t, tt.entries...)
			_, err := node.Preview(resolve.Attachment{Programs: tt.wants, Catalog: c})
			if !errors.Is(err, tt.err) {
				t.Fatalf("got %v, want %v", err, tt.err)
			}
			nodetest.WantWords(t, fmt.Sprint(err), tt.says...)
		})
	}
}
