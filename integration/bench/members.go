// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/cilium/ebpf"

	"github.com/xdp-chain/xdp-chain/bpf"
	"github.com/xdp-chain/xdp-chain/internal/config"
	"github.com/xdp-chain/xdp-chain/pkg/dispatcher"
	"github.com/xdp-chain/xdp-chain/pkg/dispatcher/linked"
	"github.com/xdp-chain/xdp-chain/pkg/object"
)

//go:embed testdata/members.o
var membersObject []byte

// member is the program in the object of which chains are made.
const member = "member"

// Where the plugin finds the objects: in a folder that nobody but root can write
// to, wherever the checkout is. The second is the built-in drop.
const (
	objectPath = "/run/bench/members.o"
	dropPath   = "/run/bench/drop.o"
)

// installObjects puts the objects at their paths.
func installObjects() error {
	drop, err := bpf.Objects.ReadFile("drop/drop.o")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(objectPath), 0o755); err != nil {
		return err
	}
	return errors.Join(os.WriteFile(objectPath, membersObject, 0o600), os.WriteFile(dropPath, drop, 0o600))
}

// programs are n members as a network configuration lists them.
func programs(n int) []config.Program {
	list := make([]config.Program, n)
	for i := range list {
		list[i] = config.Program{Name: memberName(i), Object: objectPath, Function: member}
	}
	return list
}

// together is the function of the object that does the work of n members.
func together(n int) string {
	if n == 1 {
		return member
	}
	return fmt.Sprint("together", n)
}

func memberName(i int) string { return fmt.Sprintf("member%d", i) }

// build links n members into a chain, as the plugin does.
func build(ctx context.Context, n int, counters bool) (*dispatcher.Built, error) {
	list, err := members(member, n)
	if err != nil {
		return nil, err
	}
	return linked.New().Build(ctx, list, dispatcher.Options{Counters: counters})
}

// members are n times the same program, as a dispatcher takes them.
func members(function string, n int) ([]dispatcher.Member, error) {
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
		settled := config.Program{Name: memberName(i)}
		list[i] = dispatcher.Member{Member: settled.WithDefaults(p.Function), Spec: p.Spec}
	}
	return list, nil
}

// load loads one program of the object by itself.
func load(function string) (*ebpf.Program, error) {
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
