// SPDX-License-Identifier: Apache-2.0

package linked

import (
	"math/bits"

	"github.com/cilium/ebpf/asm"

	"github.com/xdp-chain/xdp-chain/pkg/chain"
)

// maxCompares is the number of verdicts up to which comparing with one after the
// other is cheaper than a look at the mask.
const maxCompares = 3

// proceed returns what follows the call of member i: the test that falls through to
// the next member with the likeliest verdict of its proceedOn, and the instructions
// for all other verdicts, to be put aside.
func proceed(i int, set chain.ActionSet, counted bool) (test, aside asm.Instructions) {
	final := symbolExit
	if counted {
		final = symbolFinal(i)
	}
	verdicts := likeliest(set)
	switch {
	case set == 0:
		// Always taken. With a plain jump no instruction would lead to the members
		// behind, which the verifier refuses; this way it cuts them off itself.
		test = asm.Instructions{asm.Mov.Imm32(asm.R1, 0), asm.JEq.Imm32(asm.R1, 0, final)}
	case len(verdicts) > maxCompares:
		test = asm.Instructions{asm.JNE.Imm32(asm.R0, verdicts[0], symbolRest(i))}
		aside = inMask(i, set, final)
	case len(verdicts) > 1:
		test = asm.Instructions{asm.JNE.Imm32(asm.R0, verdicts[0], symbolRest(i))}
		for _, v := range verdicts[1:] {
			aside = append(aside, asm.JEq.Imm32(asm.R0, v, symbolNext(i+1)))
		}
	default:
		test = asm.Instructions{asm.JNE.Imm32(asm.R0, verdicts[0], final)}
	}
	if len(aside) > 0 {
		aside[0] = aside[0].WithSymbol(symbolRest(i))
	}
	switch {
	case counted:
		aside = append(aside, position(i).WithSymbol(final), asm.Ja.Label(symbolCount))
	case len(aside) > 0:
		aside = append(aside, asm.Ja.Label(symbolExit))
	}
	return test, aside
}

// inMask goes on to the next member if the verdict's bit is set.
func inMask(i int, set chain.ActionSet, final string) asm.Instructions {
	return asm.Instructions{
		asm.JGT.Imm32(asm.R0, 31, final),
		asm.Mov.Imm32(asm.R1, 1),
		asm.LSh.Reg32(asm.R1, asm.R0),
		asm.JSet.Imm32(asm.R1, int32(set), symbolNext(i+1)),
	}
}

// likeliest lists the verdicts of a set, the likeliest to be returned first: pass,
// then what an empty slot returns, then the others.
func likeliest(set chain.ActionSet) []int32 {
	var verdicts []int32
	for _, v := range []chain.Action{chain.Pass, chain.DispatcherReturn} {
		if set.Has(v) {
			verdicts = append(verdicts, int32(v))
			set &^= 1 << v
		}
	}
	for ; set != 0; set &= set - 1 {
		verdicts = append(verdicts, int32(bits.TrailingZeros32(uint32(set))))
	}
	return verdicts
}
