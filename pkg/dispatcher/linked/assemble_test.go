// SPDX-License-Identifier: Apache-2.0

package linked

import (
	"errors"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
	"github.com/google/go-cmp/cmp"

	"github.com/xdp-chain/xdp-chain/pkg/chain"
	"github.com/xdp-chain/xdp-chain/pkg/dispatcher"
	"github.com/xdp-chain/xdp-chain/pkg/dispatcher/internal/chaintest"
)

// Members that share every name, without the BTF that could tell them apart.
func TestSameNamesWithoutBTF(t *testing.T) {
	chaintest.CompareGlobals(t, build(
		t, dispatcher.Options{},
		chaintest.Strip(chaintest.Globals(t, "a", 0, chain.Pass, 1)),
		chaintest.Strip(chaintest.Globals(t, "b", 1, chain.TX, 100)),
		chaintest.Strip(chaintest.Globals(t, "c", 2, chain.Drop, 10000)),
	))
}

// A mixture of functions with and without BTF and line info.
func TestSomeWithoutBTF(t *testing.T) {
	lineless := chaintest.Globals(t, "lineless", 2, chain.Pass, 1)
	for i, ins := range chaintest.Spec(lineless).Instructions {
		chaintest.Spec(lineless).Instructions[i] = ins.WithSource(nil)
	}
	built := build(
		t, dispatcher.Options{Counters: true},
		chaintest.Globals(t, "whole", 0, chain.Pass, 1), chaintest.Strip(chaintest.Globals(t, "bare", 1, chain.Pass, 1)), lineless, chaintest.Returning("asm", 3, 7),
	)
	if got := chaintest.Run(t, built.Program, chaintest.Frame()); got != 7 {
		t.Errorf("verdict %d", got)
	}
}

func TestProgramInKernel(t *testing.T) {
	built := build(t, dispatcher.Options{}, chaintest.Globals(t, "flow-stats", 0, chain.Pass, 1), chaintest.Returning("4ever", 1, 1))
	info, err := built.Program.Info()
	if err != nil {
		t.Fatal(err)
	}
	if info.Name != ProgramName || info.Type != ebpf.XDP {
		t.Errorf("name %q, type %s", info.Name, info.Type)
	}
	functions, err := info.FuncInfos()
	if err != nil {
		t.Fatal(err)
	}
	got := make(map[string]btf.FuncLinkage)
	for _, f := range functions {
		got[f.Func.Name] = f.Func.Linkage
	}
	want := map[string]btf.FuncLinkage{
		"xdp_chain":           btf.GlobalFunc,
		"flow_stats__globals": btf.GlobalFunc,
		"add":                 btf.StaticFunc,
		"touch":               btf.GlobalFunc,
		"_4ever__main":        btf.GlobalFunc,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("functions (-want +got):\n%s", diff)
	}
}

func TestTwoKernelVersions(t *testing.T) {
	kconfig := func(name string, position int) dispatcher.Member {
		return chaintest.Object(t, "kernel.o", "kconfig", name, position)
	}
	err := buildError(t, dispatcher.Options{}, kconfig("one", 0), chaintest.Returning("a", 1, 2), kconfig("two", 2))
	if !errors.Is(err, dispatcher.ErrNotLinkable) || !strings.Contains(err.Error(), "one, two") {
		t.Errorf("two members with .kconfig: %v", err)
	}
}
