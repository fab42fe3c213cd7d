// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/containernetworking/cni/pkg/types"
	"github.com/google/go-cmp/cmp"

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

func TestCodes(t *testing.T) {
	tests := []struct {
		err  error
		want uint
	}{
		{pin.ErrLocked, 11},
		{store.ErrLocked, 11},
		{context.DeadlineExceeded, 11},
		{netdev.ErrNetNSGone, 8},
		{chain.ErrTooManyMembers, 104},
		{dispatcher.ErrTooManyMaps, 104},
		{object.ErrUnusable, 103},
		{config.ErrPolicy, 102},
		{catalog.ErrUnknown, 103},
		{catalog.ErrBroken, 103},
		{dispatcher.ErrMixedLicenses, 103},
		{dispatcher.ErrStackTooDeep, 103},
		{dispatcher.ErrNotLinkable, 103},
		{dispatcher.ErrNoBTF, 103},
		{dispatcher.ErrProgramArray, 103},
		{dispatcher.ErrMapRefused, 103},
		{netdev.ErrBusy, 101},
		{netdev.ErrUnsupported, 101},
		{netdev.ErrNotVeth, 101},
		{netdev.ErrNoInterface, 101},
		{ebpf.ErrNotSupported, 105},
		{dispatcher.ErrNotPermitted, 105},
		{pin.ErrNoBPFFS, 105},
		{chain.ErrInvalid, 7},
		{config.ErrNotJSON, 6},
		{&fs.PathError{Op: "open", Path: "/x", Err: syscall.EIO}, 5},
		{&os.LinkError{Op: "rename", Old: "a", New: "b", Err: syscall.EIO}, 5},
		{os.NewSyscallError("bpf", syscall.EIO), 5},
		{state.ErrDiffers, 999},
		{errors.New("else"), 999},

		{fmt.Errorf("%w: %w", state.ErrDiffers, netdev.ErrNoInterface), 999},

		// What a pod is refused is told as that, whatever stands against it.
		{fmt.Errorf("%w: %w", config.ErrPolicy, dispatcher.ErrTooManyMaps), 102},

		// What is wrong with an object is told as that, whatever it is.
		{fmt.Errorf("%w: %w", chain.ErrInvalid, object.ErrUnusable), 103},
		{fmt.Errorf("%w: %w", object.ErrUnusable, &fs.PathError{Op: "open", Path: "/x", Err: syscall.ENOENT}), 103},
	}
	for _, tt := range tests {
		got := cniError(fmt.Errorf("put a chain on eth0: %w", tt.err))
		if got.Code != tt.want || got.Msg != "put a chain on eth0: "+tt.err.Error() || got.Details != "" {
			t.Errorf("%v: code %d, message %q, details %q; want code %d", tt.err, got.Code, got.Msg, got.Details, tt.want)
		}
	}
}

func TestCodeOfRefusal(t *testing.T) {
	err := fmt.Errorf("put a chain on eth0: %w", &dispatcher.RefusedError{
		Member: "mine", Log: []string{"R1 invalid mem access 'scalar'", "processed 3 insns"}, Err: syscall.EACCES,
	})
	want := types.NewError(100, err.Error(), "R1 invalid mem access 'scalar'\nprocessed 3 insns")
	if diff := cmp.Diff(want, cniError(err)); diff != "" {
		t.Errorf("error (-want +got):\n%s", diff)
	}
}

func TestCodeOfJoinedErrors(t *testing.T) {
	err := errors.Join(errors.New("chain 1-2: gone"), fmt.Errorf("chain 1-3: %w", pin.ErrLocked))
	want := types.NewError(11, "chain 1-2: gone", "chain 1-3: locked")
	if diff := cmp.Diff(want, cniError(err)); diff != "" {
		t.Errorf("error (-want +got):\n%s", diff)
	}
}

func TestCodeOfCNIError(t *testing.T) {
	made := types.NewError(types.ErrInvalidNetNS, "gone", "details")
	if got := cniError(fmt.Errorf("wrapped: %w", made)); got != made {
		t.Errorf("got %#v, want %#v", got, made)
	}
}
