// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	_ "embed"
	"fmt"
	"os"
	"path/filepath"

	"github.com/cilium/ebpf"

	"github.com/xdp-chain/xdp-chain/pkg/chain"
	"github.com/xdp-chain/xdp-chain/pkg/dispatcher"
	"github.com/xdp-chain/xdp-chain/pkg/dispatcher/linked"
	"github.com/xdp-chain/xdp-chain/pkg/object"
)

//go:embed testdata/members.o
var membersObject []byte

// member is the program in the object of which chains are made.
const member = "member"

// objectPath is where the plugin finds the object: a folder that nobody but root
// can write to, wherever the checkout is.
const objectPath = "/run/bench/members.o"

// installObject puts the object at objectPath.
func installObject() error {
	if err := os.MkdirAll(filepath.Dir(objectPath), 0o755); err != nil {
		return err
	}
	return os.WriteFile(objectPath, membersObject, 0o600)
}

// programs are n members as a network configuration lists them.
func programs(n int) []chain.Program {
	list := make([]chain.Program, n)
	for i := range list {
		list[i] = chain.Program{Name: memberName(i), Object: objectPath, Function: member}
	}
	return list
}

func memberName(i int) string { return fmt.Sprintf("member%d", i) }

// build links n members into a chain, as the plugin does.
func build(ctx context.Context, n int, counters bool) (*dispatcher.Built, error) {
	o, err := object.New("of the benchmark", membersObject)
	if err != nil {
		return nil, err
	}
	members := make([]dispatcher.Member, n)
	for i := range members {
		p, err := o.Program(member)
		if err != nil {
			return nil, err
		}
		settled := chain.Program{Name: memberName(i)}
		members[i] = dispatcher.Member{Member: settled.Settle(p.Function), Spec: p.Spec}
	}
	return linked.New().Build(ctx, members, dispatcher.Options{Counters: counters})
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
