// SPDX-License-Identifier: Apache-2.0

package node

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/xdp-chain/xdp-chain/internal/config"
	"github.com/xdp-chain/xdp-chain/internal/testenv"
	"github.com/xdp-chain/xdp-chain/pkg/pin"
)

// finds looks for a finding and compares its state and what is found.
func finds(t *testing.T, list []Finding, check string, state FindingState, words string) {
	t.Helper()
	for _, f := range list {
		if f.Check != check {
			continue
		}
		if f.State != state || !strings.Contains(f.Found, words) {
			t.Errorf("%s is %s: %s; want it %s: %s", check, f.State, f.Found, state, words)
		}
		if (f.Do == "") != (f.State == StateOK) {
			t.Errorf("%s is %s, and what to do about it: %q", check, f.State, f.Do)
		}
		return
	}
	t.Errorf("nothing about %s in %+v", check, list)
}

func TestExamineKernel(t *testing.T) {
	testenv.NoLeaks(t)
	n := Default()
	n.Records.Root = t.TempDir() // what is found out about the kernel goes there
	list := n.ExamineKernel()
	finds(t, list, "kernel", StateOK, "Linux ")
	finds(t, list, "bpf", StateOK, "JIT")
	if _, err := os.Stat("/sys/kernel/btf/vmlinux"); err == nil {
		finds(t, list, "btf", StateOK, "types")
	}
	finds(t, list, "bpffs", StateOK, n.BPFFS.Root)
	state := StateOK
	if n.haveFreplace() != nil {
		state = StateWarning
	}
	finds(t, list, "trampolines", state, "libxdp's dispatcher")

	n.BPFFS = pin.Tree{Root: t.TempDir()}
	finds(t, n.ExamineKernel(), "bpffs", StateWarning, "the first ADD or load mounts it")
	n.BPFFS = pin.Tree{Root: filepath.Join(n.BPFFS.Root, "nowhere")}
	finds(t, n.ExamineKernel(), "bpffs", StateFailing, "no such file or directory")
}

func TestExamineState(t *testing.T) {
	testenv.KernelIndependent(t)
	testenv.NoLeaks(t)
	n, p := Default(), newPod(t, 0)
	n.Store.Dir = filepath.Join(t.TempDir(), "store")
	p.apply(t, n, programs("pass")...)
	list := n.ExamineState()
	finds(t, list, "chains", StateOK, "1 chain is recorded")
	finds(t, list, "records", StateOK, "")
	finds(t, list, "pins", StateOK, "")
	finds(t, list, "broken", StateOK, "")
	finds(t, list, "files", StateOK, "")

	key := p.chain(t, n, config.PodSide).Key.String()
	file := filepath.Join(n.Records.Root, "chains", key+".json")
	if err := os.WriteFile(file, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	finds(t, n.ExamineState(), "chains", StateFailing, "broken file")
	if _, err := n.List(); err == nil {
		t.Error("a broken record is listed without an error")
	}
	list = n.ExamineState()
	finds(t, list, "chains", StateFailing, "1 chain runs without a record: "+key)
	finds(t, list, "broken", StateWarning, "1 broken file was set aside, last as "+n.Records.Root+"/broken/")
	if err := os.RemoveAll(filepath.Join(n.Records.Root, "broken")); err != nil {
		t.Fatal(err)
	}
	p.deleteVeth(t)
	if err := os.Mkdir(filepath.Join(n.BPFFS.Root, "xdp-chain/node/old"), 0o700); err != nil {
		t.Fatal(err)
	}
	onlyLeft(t, n, LeftoverPins, LeftoverAttachment, LeftoverMaps)
	list = n.ExamineState()
	finds(t, list, "records", StateWarning, "1 leftover: attachment podnet/")
	finds(t, list, "pins", StateWarning, "2 leftovers: pins of chain "+key)
	if _, err := n.RemoveLeftovers(t.Context()); err != nil {
		t.Error(err)
	}
	finds(t, n.ExamineState(), "pins", StateOK, "")
}
