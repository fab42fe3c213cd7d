// SPDX-License-Identifier: Apache-2.0

package doctor_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/xdp-chain/xdp-chain/internal/config"
	"github.com/xdp-chain/xdp-chain/internal/enum/enumtest"
	"github.com/xdp-chain/xdp-chain/internal/node"
	"github.com/xdp-chain/xdp-chain/internal/node/doctor"
	"github.com/xdp-chain/xdp-chain/internal/node/inspect"
	"github.com/xdp-chain/xdp-chain/internal/node/nodetest"
	"github.com/xdp-chain/xdp-chain/internal/testenv"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
	"github.com/xdp-chain/xdp-chain/pkg/pin"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// finds looks for a finding and compares its state and what is found.
func finds(t *testing.T, list []doctor.Finding, check string, state doctor.FindingState, words string) {
	t.Helper()
	for _, f := range list {
		if f.Check != check {
			continue
		}
		if f.State != state || !strings.Contains(f.Found, words) {
			t.Errorf("%s is %s: %s; want it %s: %s", check, f.State, f.Found, state, words)
		}
		if (f.Do == "") != (f.State == doctor.StateOK) {
			t.Errorf("%s is %s, and what to do about it: %q", check, f.State, f.Do)
		}
		return
	}
	t.Errorf("nothing about %s in %+v", check, list)
}

func TestExamineKernel(t *testing.T) {
	testenv.NoLeaks(t)
	n := node.Default()
	n.Records.Root = t.TempDir() // what is found out about the kernel goes there
	list := doctor.ExamineKernel(n.Node)
	finds(t, list, "kernel", doctor.StateOK, "Linux ")
	finds(t, list, "bpf", doctor.StateOK, "JIT")
	if _, err := os.Stat("/sys/kernel/btf/vmlinux"); err == nil {
		finds(t, list, "btf", doctor.StateOK, "types")
	}
	finds(t, list, "bpffs", doctor.StateOK, n.BPFFS.Root)
	state := doctor.StateOK
	if n.HaveFreplace() != nil {
		state = doctor.StateWarning
	}
	finds(t, list, "trampolines", state, "libxdp's dispatcher")

	n.BPFFS = pin.Tree{Root: t.TempDir()}
	finds(t, doctor.ExamineKernel(n.Node), "bpffs", doctor.StateWarning, "the first ADD or load mounts it")
	n.BPFFS = pin.Tree{Root: filepath.Join(n.BPFFS.Root, "nowhere")}
	finds(t, doctor.ExamineKernel(n.Node), "bpffs", doctor.StateFailing, "no such file or directory")
}

func TestExamineState(t *testing.T) {
	testenv.KernelIndependent(t)
	testenv.NoLeaks(t)
	n, p := node.Default(), nodetest.NewPod(t, 0)
	n.Store.Dir = filepath.Join(t.TempDir(), "store")
	p.Apply(t, n, nodetest.Programs("pass")...)
	list := doctor.ExamineState(n.Node)
	finds(t, list, "chains", doctor.StateOK, "1 chain is recorded")
	finds(t, list, "records", doctor.StateOK, "")
	finds(t, list, "pins", doctor.StateOK, "")
	finds(t, list, "broken", doctor.StateOK, "")
	finds(t, list, "files", doctor.StateOK, "")

	key := p.Key(t, config.PodSide).String()
	nodetest.BreakRecord(t, n, p.Key(t, config.PodSide))
	finds(t, doctor.ExamineState(n.Node), "chains", doctor.StateFailing, "broken file")
	if _, err := inspect.List(n.Node); err == nil {
		t.Error("a broken record is listed without an error")
	}
	list = doctor.ExamineState(n.Node)
	finds(t, list, "chains", doctor.StateFailing, "1 chain runs without a record: "+key)
	finds(t, list, "broken", doctor.StateWarning, "1 broken file was set aside, last as "+n.Records.Root+"/broken/")
	nodetest.ForgetBroken(t, n)
	p.DeleteVeth(t)
	if err := os.Mkdir(filepath.Join(n.BPFFS.Root, "xdp-chain/node/old"), 0o700); err != nil {
		t.Fatal(err)
	}
	nodetest.OnlyLeft(t, n, doctor.LeftoverPins, doctor.LeftoverAttachment, doctor.LeftoverMaps)
	list = doctor.ExamineState(n.Node)
	finds(t, list, "records", doctor.StateWarning, "1 leftover: attachment podnet/")
	finds(t, list, "pins", doctor.StateWarning, "2 leftovers: pins of chain "+key)
	if _, err := doctor.RemoveLeftovers(t.Context(), n.Node); err != nil {
		t.Error(err)
	}
	finds(t, doctor.ExamineState(n.Node), "pins", doctor.StateOK, "")
}

func TestFindingState(t *testing.T) {
	enumtest.PrintAndParse(t, map[doctor.FindingState]string{
		0: "ok", doctor.StateWarning: "warning", doctor.StateFailing: "failing",
	})
	enumtest.Refuse(t, chain.ErrInvalid, []string{"", "0", "Chain", "OK", (doctor.StateFailing + 1).String()}, doctor.StateFailing+1)
}
