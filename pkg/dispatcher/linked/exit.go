// SPDX-License-Identifier: Apache-2.0

package linked

import (
	"github.com/cilium/ebpf/asm"

	"github.com/xdp-chain/xdp-chain/pkg/chain"
)

const (
	// exitContext holds the context up to the exit: it survives calls, and count needs
	// r6 for another thing.
	exitContext = asm.R7

	// ingressIfindex is the offset of that field in struct xdp_md of linux/bpf.h.
	ingressIfindex = 12
)

// exit ends the program with the verdict in r0. With txByRedirect, tx is carried out
// as a redirect to the interface that the frame came from, aside of the straight way,
// which costs other verdicts one instruction.
func exit(txByRedirect bool) (straight, aside asm.Instructions) {
	if !txByRedirect {
		return asm.Instructions{asm.Return().WithSymbol(symbolExit)}, nil
	}
	straight = asm.Instructions{
		asm.JEq.Imm32(asm.R0, int32(chain.TX), ":back").WithSymbol(symbolExit),
		asm.Return(),
	}
	aside = asm.Instructions{
		asm.LoadMem(asm.R1, exitContext, ingressIfindex, asm.Word).WithSymbol(":back"),
		asm.Mov.Imm(asm.R2, 0),
		asm.FnRedirect.Call(),
		asm.Return(),
	}
	return straight, aside
}
