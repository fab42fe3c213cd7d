// SPDX-License-Identifier: Apache-2.0

package linked

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/cilium/ebpf/asm"
	"golang.org/x/sys/unix"

	"github.com/xdp-chain/xdp-chain/pkg/chain"
	"github.com/xdp-chain/xdp-chain/pkg/dispatcher"
	"github.com/xdp-chain/xdp-chain/pkg/dispatcher/internal/load"
)

// A refused member is named, wherever it stands, with what the verifier says.
func TestRefused(t *testing.T) {
	for position := range 3 {
		t.Run(fmt.Sprint("at ", position), func(t *testing.T) {
			members := []dispatcher.Member{
				globals(t, "good", 0, chain.Pass, 1), globals(t, "good-too", 1, chain.Pass, 1), globals(t, "good-as-well", 2, chain.Pass, 1),
			}
			members[position] = object(t, "refused.o", "refused", "bad", position)
			err := buildError(t, dispatcher.Options{Counters: true}, members...)
			var refused *dispatcher.RefusedError
			if !errors.As(err, &refused) || !errors.Is(err, dispatcher.ErrRefused) || !errors.Is(err, unix.EACCES) {
				t.Fatalf("got %v", err)
			}
			if refused.Member != "bad" {
				t.Errorf("blamed %q", refused.Member)
			}
			log := strings.Join(refused.Log, "\n")
			for _, says := range []string{"return *(__u8 *)(long)ctx->data;", "invalid access to packet"} {
				if !strings.Contains(log, says) {
					t.Errorf("the log does not say %q:\n%s", says, log)
				}
			}
			if strings.Contains(log, "processed ") || len(refused.Log) > load.TellingLines {
				t.Errorf("the log holds what tells nothing:\n%s", log)
			}
		})
	}
}

// deep makes a member with a stack frame of so many bytes.
func deep(name string, bytes int16) dispatcher.Member {
	return program(name, 0, chain.DefaultProceedOn, asm.StoreImm(asm.RFP, -bytes, 0, asm.Word), asm.Mov.Imm(asm.R0, 2), asm.Return())
}

func TestStack(t *testing.T) {
	build(t, dispatcher.Options{Counters: true}, deep("a", 480), deep("b", 480))
	build(t, dispatcher.Options{}, deep("a", 512), deep("b", 512))

	err := buildError(t, dispatcher.Options{Counters: true}, deep("a", 32), deep("b", 512))
	if !errors.Is(err, dispatcher.ErrStackTooDeep) || !errors.Is(err, dispatcher.ErrNotLinkable) ||
		!strings.Contains(err.Error(), `"b"`) || !strings.Contains(err.Error(), "per-CPU array") {
		t.Errorf("512 bytes behind the dispatcher's frame: %v", err)
	}
	err = buildError(t, dispatcher.Options{Counters: true}, deep("a", 32), deep("b", 520))
	if errors.Is(err, dispatcher.ErrNotLinkable) || !errors.Is(err, dispatcher.ErrRefused) {
		t.Errorf("a frame that no program may have: %v", err)
	}
}

// Members that are too much only together: a program can have 256 functions.
func TestTogether(t *testing.T) {
	var members []dispatcher.Member
	for i := range MaxMembers {
		insns := asm.Instructions{asm.Call.Label("f0"), asm.Mov.Imm(asm.R0, 2), asm.Return()}
		for f := range 4 {
			name := fmt.Sprint("f", f)
			insns = append(insns, asm.Mov.Imm(asm.R0, 0).WithSymbol(name))
			if f < 3 {
				insns = append(insns, asm.Call.Label(fmt.Sprint("f", f+1)))
			}
			insns = append(insns, asm.Return())
		}
		members = append(members, program(fmt.Sprint("m", i), i, chain.DefaultProceedOn, insns...))
	}
	build(t, dispatcher.Options{}, members[:51]...)
	err := buildError(t, dispatcher.Options{}, members[:52]...)
	if !errors.Is(err, dispatcher.ErrNotLinkable) || errors.Is(err, dispatcher.ErrRefused) || !strings.Contains(err.Error(), "too many subprograms") {
		t.Errorf("got %v", err)
	}
}

func TestNotPermitted(t *testing.T) {
	done := make(chan error)
	go func() {
		// Never unlocked: the thread ends with the goroutine, and its capabilities
		// with it.
		runtime.LockOSThread()
		var none [2]unix.CapUserData // version 3 has two halves
		if err := unix.Capset(&unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}, &none[0]); err != nil {
			done <- err
			return
		}
		_, err := New().Build(context.Background(), []dispatcher.Member{returning("a", 0, 2)}, dispatcher.Options{})
		done <- err
	}()
	err := <-done
	if !errors.Is(err, dispatcher.ErrNotPermitted) || errors.Is(err, dispatcher.ErrRefused) {
		t.Errorf("got %v", err)
	}
	if !strings.Contains(err.Error(), "CAP_BPF") {
		t.Errorf("the error does not say what is needed: %v", err)
	}
}
