// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/containernetworking/cni/pkg/types"

	"github.com/xdp-chain/xdp-chain/internal/catalog"
	"github.com/xdp-chain/xdp-chain/internal/config"
	"github.com/xdp-chain/xdp-chain/internal/node/state"
	"github.com/xdp-chain/xdp-chain/internal/store"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
	"github.com/xdp-chain/xdp-chain/pkg/dispatcher"
	"github.com/xdp-chain/xdp-chain/pkg/netdev"
	"github.com/xdp-chain/xdp-chain/pkg/object"
	"github.com/xdp-chain/xdp-chain/pkg/pin"
)

// Our error codes; those below 100 are CNI's.
const (
	codeRefused        uint = 100 // the verifier refused a program; its log's telling lines are the details
	codeCannotCarry    uint = 101 // the interface cannot carry the chain: MTU, driver, busy
	codePolicy         uint = 102 // the pod's annotation asks for what the network's policy does not allow
	codeUnusable       uint = 103 // an object or a catalog entry, with what is to be set in it, is unusable
	codeTooManyMembers uint = 104 // more than the dispatcher can call
	codeKernelLacks    uint = 105 // the kernel lacks what is needed
)

// codes says which code an error gets: that of the first row with an error that
// it satisfies. So what is wrong with an object comes before what is wrong with a
// value in it.
var codes = []struct {
	code uint
	errs []error
}{
	{types.ErrTryAgainLater, []error{pin.ErrLocked, store.ErrLocked, context.DeadlineExceeded}},
	{types.ErrInvalidNetNS, []error{netdev.ErrNetNSGone}},
	{types.ErrInternal, []error{state.ErrDiffers}}, // CHECK has no code of its own
	{codePolicy, []error{config.ErrPolicy}},
	{codeTooManyMembers, []error{chain.ErrTooManyMembers, dispatcher.ErrTooManyMaps}},
	{codeUnusable, []error{object.ErrUnusable, catalog.ErrUnknown, catalog.ErrBroken, dispatcher.ErrNotLinkable, dispatcher.ErrNoBTF, dispatcher.ErrProgramArray, dispatcher.ErrMapRefused}},
	{codeCannotCarry, []error{netdev.ErrBusy, netdev.ErrUnsupported, netdev.ErrNotVeth, netdev.ErrNoInterface}},
	{codeKernelLacks, []error{ebpf.ErrNotSupported, dispatcher.ErrNotPermitted, pin.ErrNoBPFFS}},
	{types.ErrInvalidNetworkConfig, []error{chain.ErrInvalid}},
	{types.ErrDecodingFailure, []error{config.ErrNotJSON}},
}

// cniError returns an error as CNI reports it: a [types.Error] as it is, anything
// else with the code of what it wraps. The message is one line; the other
// lines of an error that joins several are the details.
func cniError(err error) *types.Error {
	if made := (*types.Error)(nil); errors.As(err, &made) {
		return made
	}
	if refused := (*dispatcher.RefusedError)(nil); errors.As(err, &refused) {
		return types.NewError(codeRefused, err.Error(), strings.Join(refused.Log, "\n"))
	}
	msg, details, _ := strings.Cut(err.Error(), "\n")
	return types.NewError(codeOf(err), msg, details)
}

func codeOf(err error) uint {
	for _, row := range codes {
		for _, target := range row.errs {
			if errors.Is(err, target) {
				return row.code
			}
		}
	}
	var path *fs.PathError
	var link *os.LinkError
	var call *os.SyscallError
	if errors.As(err, &path) || errors.As(err, &link) || errors.As(err, &call) {
		return types.ErrIOFailure
	}
	return types.ErrInternal
}
