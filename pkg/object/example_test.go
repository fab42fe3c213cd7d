// SPDX-License-Identifier: Apache-2.0

package object_test

import (
	"encoding/json"
	"fmt"
	"log"
	"os"

	"github.com/xdp-chain/xdp-chain/pkg/chain"
	"github.com/xdp-chain/xdp-chain/pkg/dispatcher"
	"github.com/xdp-chain/xdp-chain/pkg/object"
)

// The program of an object gets its globals and map entries from JSON, and a place in a
// chain.
func Example() {
	content, err := os.ReadFile("../../bpf/acl/acl.o")
	if err != nil {
		log.Panic(err)
	}
	acl, err := object.New("acl.o", content) // object.Open takes files that root alone can write
	if err != nil {
		log.Panic(err)
	}
	program, err := acl.Program("") // the only one there is
	if err != nil {
		log.Panic(err)
	}
	err = program.ConfigureMaps(map[string]object.MapSettings{"rules": {Entries: []object.MapEntry{
		{Key: json.RawMessage(`0`), Value: json.RawMessage(`{"source": "10.0.0.0/8", "protocol": "tcp", "ports": {"first": 443}, "action": "allow"}`)},
	}}})
	if err != nil {
		log.Panic(err)
	}
	if err := program.SetGlobals(map[string]json.RawMessage{"default_action": json.RawMessage(`"deny"`)}); err != nil {
		log.Panic(err)
	}
	member := dispatcher.Member{
		Member: chain.Member{Name: "acl", Function: program.Function, Priority: 20, ProceedOn: chain.DefaultProceedOn},
		Spec:   program.Spec,
	}
	fmt.Println(member.Function, "has", len(member.Spec.Maps["rules"].Contents), "rule")

	err = program.SetGlobals(map[string]json.RawMessage{"default_action": json.RawMessage(`"deney"`)})
	fmt.Println(err)
	// Output:
	// acl has 1 rule
	// object acl.o: global default_action: enum acl_action has no "deney"; it has unset, deny, allow
}
