// SPDX-License-Identifier: Apache-2.0

// Package workload has what the benchmark measures: pods of the least kind, and chains of
// as many small members as wanted, with the same work in one C function.
package workload

//go:generate ../../../bpf/compile.sh testdata/members.c testdata/members.o

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"

	"github.com/xdp-chain/xdp-chain/bpf"
	"github.com/xdp-chain/xdp-chain/internal/config"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
	"github.com/xdp-chain/xdp-chain/pkg/dispatcher"
	"github.com/xdp-chain/xdp-chain/pkg/dispatcher/linked"
	"github.com/xdp-chain/xdp-chain/pkg/object"
)

//go:embed testdata/members.o
var membersObject []byte

// MemberFunction is the program in the object of which chains are made.
const MemberFunction = "member"

// Where the plugin finds the objects: in a folder that nobody but root can write
// to, wherever the checkout is. The second is the built-in drop.
const (
	ObjectPath = "/run/bench/members.o"
	DropPath   = "/run/bench/drop.o"
)

// InstallObjects puts the objects at their paths.
func InstallObjects() error {
	drop, err := bpf.Objects.ReadFile("drop/drop.o")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(ObjectPath), 0o755); err != nil {
		return err
	}
	return errors.Join(os.WriteFile(ObjectPath, membersObject, 0o600), os.WriteFile(DropPath, drop, 0o600))
}

// Programs are n members as a network configuration lists them.
func Programs(n int) []config.Program {
	list := make([]config.Program, n)
	for i := range list {
		list[i] = config.Program{Name: MemberName(i), Object: ObjectPath, Function: MemberFunction}
	}
	return list
}

// TogetherFunction is the function of the object that does the work of n members.
func TogetherFunction(n int) string {
	if n == 1 {
		return MemberFunction
	}
	return fmt.Sprint("together", n)
}

// MemberName is the name of the i-th member, counted from 0.
func MemberName(i int) string { return fmt.Sprintf("member%d", i) }

// Build links n members into a chain, as the plugin does.
func Build(ctx context.Context, n int, counters bool) (*dispatcher.Built, error) {
	list, err := Members(MemberFunction, n)
	if err != nil {
		return nil, err
	}
	return linked.New().Build(ctx, list, dispatcher.Options{Counters: counters})
}

// Members are n times the same program, as a dispatcher takes them.
func Members(function string, n int) ([]dispatcher.Member, error) {
	o, err := object.New("of the benchmark", membersObject)
	if err != nil {
		return nil, err
	}
	list := make([]dispatcher.Member, n)
	for i := range list {
		p, err := o.Program(function)
		if err != nil {
			return nil, err
		}
		settled := config.Program{Name: MemberName(i)}
		list[i] = dispatcher.Member{Member: settled.WithDefaults(p.Function), Spec: p.Spec}
	}
	return list, nil
}

// Load loads one program of the object by itself.
func Load(function string) (*ebpf.Program, error) {
	o, err := object.New("of the benchmark", membersObject)
	if err != nil {
		return nil, err
	}
	p, err := o.Program(function)
	if err != nil {
		return nil, err
	}
	loaded, err := ebpf.NewCollection(p.Spec)
	if err != nil {
		return nil, err
	}
	defer loaded.Close()
	return loaded.DetachProgram(function), nil
}

// LoadMoves loads a program that does nothing but set its verdict, to pass, in so many
// instructions.
func LoadMoves(count int) (*ebpf.Program, error) {
	var insns asm.Instructions
	for range count {
		insns = append(insns, asm.Mov.Imm(asm.R0, int32(chain.Pass)))
	}
	return ebpf.NewProgram(&ebpf.ProgramSpec{Type: ebpf.XDP, Instructions: append(insns, asm.Return())})
}
