// SPDX-License-Identifier: Apache-2.0

package change_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/xdp-chain/xdp-chain/internal/config"
	"github.com/xdp-chain/xdp-chain/internal/node"
	"github.com/xdp-chain/xdp-chain/internal/node/change"
	"github.com/xdp-chain/xdp-chain/internal/node/doctor"
	"github.com/xdp-chain/xdp-chain/internal/node/nodetest"
	"github.com/xdp-chain/xdp-chain/internal/record"
	"github.com/xdp-chain/xdp-chain/internal/testenv"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
	"github.com/xdp-chain/xdp-chain/pkg/netdev"
)

// changeUntil does what Apply does to the pod's side, up to a step, and leaves
// everything as a killed process would: files and pins as they are, its lock free.
func changeUntil(t *testing.T, p *nodetest.Pod, n *node.Node, until change.Step, list []config.Program) {
	t.Helper()
	members := p.Begin(t, n, list)
	if until == change.DiesAfterIndex {
		return
	}
	iface := p.Open(t, config.PodSide)
	defer iface.NetNS.Close()
	held, err := change.Lock(t.Context(), n.Node, iface.Key(), iface)
	if err != nil {
		t.Fatal(err)
	}
	defer held.Unlock()
	held.ChangeUntil(t, &p.Attachment, members, until)
}

func TestDiesInTheFirstADD(t *testing.T) {
	n := node.Default()
	finishes := []struct {
		name string
		then func(t *testing.T, p *nodetest.Pod)
	}{
		{"DEL", func(*testing.T, *nodetest.Pod) {}},
		{"ADD and DEL", func(t *testing.T, p *nodetest.Pod) {
			p.Apply(t, n, nodetest.Programs("count", "drop")...)
			p.Check(t, n)
			p.Send(t, n, 1)
		}},
		{"sweep and DEL", func(t *testing.T, _ *nodetest.Pod) {
			nodetest.Sweep(t, n)
		}},
	}
	for until := range change.Steps {
		for i, w := range nodetest.Ways {
			for j, finish := range finishes {
				if testing.Short() && (int(until)+i+j)%len(finishes) != 0 { // they take turns
					continue
				}
				t.Run(w.String()+" "+finish.name, func(t *testing.T) {
					testenv.NoLeaks(t)
					p := w.Pod(t)
					changeUntil(t, p, n, until, nodetest.Programs("count", "drop"))
					finish.then(t, p)
					p.Remove(t, n)
					if a := p.Attached(t, config.PodSide); a.ProgramID != 0 {
						t.Errorf("dies after step %d, by %s: still carries %s", until, w, a)
					}
				})
			}
		}
	}
}

func TestDiesInAChange(t *testing.T) {
	n := node.Default()
	for until := change.DiesAfterRecord; until < change.Steps; until++ {
		for i, w := range nodetest.Ways {
			t.Run(w.String(), func(t *testing.T) {
				testenv.ShardByKernel(t, int(until)+i)
				testenv.NoLeaks(t)
				p := w.Pod(t)
				p.Apply(t, n, nodetest.Programs("count", "pass")...)
				p.Send(t, n, 3)
				changeUntil(t, p, n, until, nodetest.Programs("count", "drop"))

				p.Programs = nodetest.Programs("count", "pass")
				if until >= change.DiesAfterSwap {
					p.Programs = nodetest.Programs("count", "drop")
				}
				if err := n.Check(t.Context(), p.Attachment); err != nil {
					t.Errorf("dies after step %d: neither the old chain nor the new one: %v", until, err)
				}
				p.Send(t, n, 2)
				want := []chain.Count{{Member: "(end)", Verdict: chain.VerdictPass, Packets: 5}}
				if until >= change.DiesAfterSwap {
					want = []chain.Count{
						{Member: "drop", Verdict: chain.VerdictDrop, Packets: 2},
						{Member: "(end)", Verdict: chain.VerdictPass, Packets: 3},
					}
				}
				if diff := cmp.Diff(w.Counts(want), p.Rows(t, n, config.PodSide)); diff != "" {
					t.Errorf("dies after step %d: %s", until, diff)
				}
				if got := p.CountedIPv4(t, n); got != 5 {
					t.Errorf("dies after step %d: count's own map says %d packets, want 5", until, got)
				}
				p.Remove(t, n)
			})
		}
	}
}

// A second ADD that fails leaves nothing either, though a killed one has been
// there before it.
func TestDiesInTheFirstADDAndTheSecondFails(t *testing.T) {
	n := node.Default()
	for until := range change.DiesAfterSwap {
		t.Run("", func(t *testing.T) {
			testenv.NoLeaks(t)
			p := nodetest.NewPod(t, 0)
			changeUntil(t, p, n, until, nodetest.Programs("count", "drop"))
			p.Occupy(t, config.HostSide)
			p.Programs = append(nodetest.Programs("count"), nodetest.OnHost(nodetest.At(10, "count")))
			if err := n.Apply(t.Context(), p.Attachment); err == nil {
				t.Error("no error though the host's side is busy")
			}
		})
	}
}

// What a killed process left half done is a leftover, and to remove it is to finish it or to
// take it back.
func TestUnfinishedChangeIsALeftover(t *testing.T) {
	testenv.KernelIndependent(t)
	testenv.NoLeaks(t)
	n, p := node.Default(), nodetest.NewPod(t, 0)
	n.Store.Dir = filepath.Join(t.TempDir(), "store")
	p.Apply(t, n, nodetest.Programs("pass")...)
	changeUntil(t, p, n, change.DiesAfterStage, nodetest.Programs("pass", "count"))
	p.Programs = nodetest.Programs("pass")
	nodetest.RemoveLeft(t, n, doctor.LeftoverChange)
	p.Check(t, n)
	p.Remove(t, n)
}

// A process that was killed between attach and pin has let go of the chain's lock
// and not yet of its link. Who comes next waits for that.
func TestLinkOfADyingProcessIsWaitedFor(t *testing.T) {
	testenv.NoLeaks(t)
	n, p := node.Default(), nodetest.NewPod(t, 0)
	p.Programs = nodetest.Programs("pass")
	iface := p.Open(t, config.PodSide)
	defer iface.NetNS.Close()
	program := nodetest.ForeignProgram(t)
	info, err := program.Info()
	if err != nil {
		t.Fatal(err)
	}
	id, _ := info.ID()
	if err := n.BPFFS.Ensure(); err != nil {
		t.Fatal(err)
	}
	lock, err := n.BPFFS.Lock(t.Context(), iface.Key())
	if err != nil {
		t.Fatal(err)
	}
	err = errors.Join(
		n.Records.SaveAttachment(record.Attachment{
			Network: p.Network, ContainerID: p.ContainerID, Ifname: p.Ifname, Keys: []chain.Key{iface.Key()},
		}),
		n.Records.Save(lock, &record.Record{
			Key: iface.Key(), Interface: iface.Name, NetNS: p.NetNS,
			Pending: &record.State{Generation: 1, ProgramID: uint32(id), Attach: chain.AttachLink, Members: []record.Member{
				{Member: chain.Member{Name: "pass", Function: "pass"}, Owner: p.Owner},
			}},
		}),
	)
	if err != nil {
		t.Fatal(err)
	}
	l, _, err := iface.AttachLink(netdev.AttachOptions{Program: program, Mode: chain.ModeGeneric})
	if err != nil {
		t.Fatal(err)
	}
	if err := lock.Unlock(); err != nil {
		t.Fatal(err)
	}

	if err := n.Check(inMilliseconds(t, 50), p.Attachment); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("program %d", id)) {
		t.Errorf("while the link is there: %v", err)
	}
	if err := n.Sweep(inMilliseconds(t, 5000), 16); err != nil {
		t.Errorf("sweep: %v", err)
	}
	time.AfterFunc(50*time.Millisecond, func() { l.Close() })
	p.Apply(t, n, nodetest.Programs("pass")...)
	p.Check(t, n)
	p.Remove(t, n)
}

func TestKilledWithPeerGRO(t *testing.T) {
	n := node.Default()
	for _, tt := range []struct {
		name, body string
		way        nodetest.Way
		old, next  []config.Program // nil: none
		finishes   []nodetest.Finish
	}{
		{"first ADD", "apply", nodetest.Ways[0], nil, transmitting(), []nodetest.Finish{nodetest.ThenDEL, nodetest.ThenADD}},
		{"change to a chain that transmits", "apply", nodetest.Ways[1], nodetest.Programs("pass"), transmitting(), []nodetest.Finish{nodetest.ThenADD, nodetest.ThenDEL}},
		{"change to one that does not", "apply", nodetest.Ways[0], transmitting(), nodetest.Programs("pass"), []nodetest.Finish{nodetest.ThenDEL, nodetest.ThenADD}},
		{"DEL", "remove", nodetest.Ways[1], transmitting(), nil, []nodetest.Finish{nodetest.ThenADD, nodetest.ThenDEL}},
		{"GC", "gc", nodetest.Ways[0], transmitting(), nil, []nodetest.Finish{nodetest.ThenGC, nodetest.ThenADD}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := polledPod(t)
			p.Attach = tt.way.Attach
			nodetest.EachKill(t, tt.body, p.With(t, tt.next), func(t *testing.T) {
				setGRO(t, p, config.HostSide, false)
				if tt.old != nil {
					p.Apply(t, n, tt.old...)
				}
			}, func(t *testing.T, then nodetest.Finish) {
				runs := p.Attached(t, config.PodSide).ProgramID != 0
				if c := p.Chain(t, n, config.PodSide); runs && c != nil && c.Members[0].Name == "icmp-echo" && !gro(t, p, config.HostSide) {
					t.Error("a chain that transmits runs, and GRO is off at the other end")
				}
				switch then {
				case nodetest.ThenADD:
					p.Apply(t, n, transmitting()...)
					p.Check(t, n)
					wantGRO(t, p, false, true)
				case nodetest.ThenGC:
					if err := n.GC(context.WithoutCancel(t.Context()), p.Network, nil, true); err != nil {
						t.Error(err)
					}
				}
				p.Remove(t, n)
				wantGRO(t, p, false, false)
			}, tt.finishes...)
		})
	}
}

// What a killed ADD left is restored by the sweep too, which knows nothing of the pod.
func TestSweepRestoresPeerGRO(t *testing.T) {
	n := node.Default()
	p := polledPod(t)
	nodetest.EachKill(t, "apply", p.With(t, transmitting()), func(t *testing.T) { setGRO(t, p, config.HostSide, false) }, func(t *testing.T, _ nodetest.Finish) {
		runs := p.Chain(t, n, config.PodSide) != nil
		nodetest.Sweep(t, n)
		if !runs && p.Attached(t, config.PodSide).ProgramID == 0 {
			wantGRO(t, p, false, false)
		}
		p.Remove(t, n)
		wantGRO(t, p, false, false)
	}, nodetest.ThenSweep)
}

// On nodes with nohz_full CPUs membarrier is refused with EINVAL, and a chain must
// change there all the same. A filter on this thread's system calls makes it so.
func TestGracePeriodWithoutMembarrier(t *testing.T) {
	testenv.NoLeaks(t)
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the filtered thread ends with the goroutine
		if err := refuseMembarrier(); err != nil {
			done <- err
			return
		}
		done <- change.AwaitGracePeriod()
	}()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// refuseMembarrier makes membarrier fail with EINVAL on the calling thread.
func refuseMembarrier() error {
	// struct seccomp_data begins with the number of the system call.
	filter := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 0},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: unix.SYS_MEMBARRIER, Jf: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ERRNO | uint32(unix.EINVAL)},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
	}
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return os.NewSyscallError("prctl", err)
	}
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, 0, uintptr(unsafe.Pointer(&program)))
	if errno != 0 {
		return os.NewSyscallError("seccomp", errno)
	}
	if _, _, errno := unix.Syscall(unix.SYS_MEMBARRIER, 0, 0, 0); errno != unix.EINVAL {
		return fmt.Errorf("membarrier is not refused: %v", errno)
	}
	return nil
}
