// SPDX-License-Identifier: Apache-2.0

package chaintest

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"golang.org/x/sys/unix"

	"github.com/xdp-chain/xdp-chain/pkg/chain"
	"github.com/xdp-chain/xdp-chain/pkg/dispatcher"
	"github.com/xdp-chain/xdp-chain/pkg/dispatcher/internal/load"
)

// memberRefused is named, wherever it stands, with what the verifier says.
func memberRefused(t *testing.T, d dispatcher.Dispatcher) {
	for position := range 3 {
		t.Run(fmt.Sprint("at ", position), func(t *testing.T) {
			members := []dispatcher.Member{
				Globals(t, "good", 0, chain.Pass, 1), Globals(t, "good-too", 1, chain.Pass, 1), Globals(t, "good-as-well", 2, chain.Pass, 1),
			}
			members[position] = Object(t, "refused.o", "refused", "bad", position)
			err := BuildError(t, d, dispatcher.Options{Counters: true}, members...)
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

func badMembers(t *testing.T, d dispatcher.Dispatcher) {
	var many []dispatcher.Member
	for i := range d.MaxMembers() + 1 {
		many = append(many, Returning(fmt.Sprintf("m%d", i), i, 2))
	}
	changed := func(change func(*ebpf.ProgramSpec)) []dispatcher.Member {
		m := Returning("a", 0, 2)
		change(Spec(m))
		return []dispatcher.Member{m}
	}
	two := Returning("a", 0, 2)
	two.Spec.Programs["other"] = Spec(two)
	two.Function = ""
	for _, tt := range []struct {
		name    string
		members []dispatcher.Member
		want    error
		says    string
	}{
		{"one too many", many, chain.ErrTooManyMembers, fmt.Sprint(len(many))},
		{"no members", nil, chain.ErrInvalid, "at least one"},
		{"a name that is none", []dispatcher.Member{Returning("A", 0, 2)}, chain.ErrInvalid, `"A"`},
		{"one name twice", []dispatcher.Member{Returning("a", 0, 2), Returning("a", 1, 2)}, chain.ErrInvalid, `"a"`},
		{"two programs and no choice", []dispatcher.Member{two}, chain.ErrInvalid, `member "a": 2 XDP programs`},
		{"no spec", []dispatcher.Member{{Member: Settled("a", "main", 0, 0)}}, chain.ErrInvalid, `member "a": it has no object`},
		{"another program", []dispatcher.Member{{Member: Settled("a", "missing", 0, 0), Spec: two.Spec}}, chain.ErrInvalid, `no program "missing"`},
		{"not XDP", changed(func(p *ebpf.ProgramSpec) { p.Type = ebpf.SchedCLS }), chain.ErrInvalid, "SchedCLS"},
		{"for a devmap", changed(func(p *ebpf.ProgramSpec) { p.AttachType = ebpf.AttachXDPDevMap }), chain.ErrInvalid, "a devmap redirects"},
		{"no instructions", changed(func(p *ebpf.ProgramSpec) { p.Instructions = asm.Instructions{} }), chain.ErrInvalid, "instructions"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := BuildError(t, d, dispatcher.Options{}, tt.members...)
			if !errors.Is(err, tt.want) || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("got %v, want %v that says %s", err, tt.want, tt.says)
			}
		})
	}
}

func notPermitted(t *testing.T, d dispatcher.Dispatcher) {
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
		_, err := d.Build(context.Background(), []dispatcher.Member{Returning("a", 0, 2)}, dispatcher.Options{})
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

func canceled(t *testing.T, d dispatcher.Dispatcher) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := d.Build(ctx, []dispatcher.Member{Returning("a", 0, 2)}, dispatcher.Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}
