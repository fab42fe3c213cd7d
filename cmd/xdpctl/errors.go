// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/xdp-chain/xdp-chain/cmd/xdpctl/internal/render"
	"github.com/xdp-chain/xdp-chain/internal/catalog"
	"github.com/xdp-chain/xdp-chain/internal/config"
	"github.com/xdp-chain/xdp-chain/internal/node/change"
	"github.com/xdp-chain/xdp-chain/internal/node/state"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
	"github.com/xdp-chain/xdp-chain/pkg/dispatcher"
	"github.com/xdp-chain/xdp-chain/pkg/netdev"
	"github.com/xdp-chain/xdp-chain/pkg/object"
	"github.com/xdp-chain/xdp-chain/pkg/pin"
)

// Exit statuses other than 0. The text for --help is [exitHelp].
const (
	exitUndone  = 1 // it could not be done, or not be read
	exitUsage   = 2 // called wrongly, or refused by policy
	exitDiffers = 3 // something is not as it should be
	exitAbsent  = 4 // there is nothing of that name
)

const exitHelp = `Exit status:
  0  it was done, or everything was shown
  1  it could not be done, or something could not be read
  2  it was called wrongly (flags, values, contents of files), or policy refuses it
  3  something differs from what it should be, or is failing
  4  there is no such member, chain, pod, interface or network namespace`

// statusError is an error with the exit status it ends in; all other errors end in
// exitUsage, since they are those of package cobra.
type statusError struct {
	error
	status int
}

func (e *statusError) Unwrap() error { return e.error }

func withStatus(status int, err error) error {
	if err == nil {
		return nil
	}
	return &statusError{err, status}
}

// unread is for state that could not be read, or shown.
func unread(err error) error {
	return withStatus(exitUndone, hintRoot(err))
}

// differs is for what was looked at and is not as it should be. All is said by then, and an
// empty message ends xdpctl without a word.
func differs() error { return withStatus(exitDiffers, errors.New("")) }

// absent is for what was asked for and is not there.
func absent(err error) error { return withStatus(exitAbsent, err) }

// failed is for what package node says of a thing to be done: the status follows from
// what is behind it.
func failed(err error) error {
	if err == nil || errors.As(err, new(*statusError)) {
		return err
	}
	status := exitUndone
	switch {
	case isAny(err, state.ErrNoMember, netdev.ErrNoInterface, netdev.ErrNetNSGone):
		status = exitAbsent
	case isAny(err, fs.ErrPermission):
	case isAny(err, chain.ErrInvalid, chain.ErrTooManyMembers, config.ErrPolicy, object.ErrUnusable, catalog.ErrUnknown, catalog.ErrBroken):
		status = exitUsage
	}
	return withStatus(status, hintRoot(nextStep(err)))
}

// nextStep adds what to do about an error of package node that leaves it open.
func nextStep(err error) error {
	var step string
	switch {
	case errors.Is(err, state.ErrNoMember):
		step = "xdpctl list shows the members there are, with their ids"
	case errors.Is(err, netdev.ErrNoInterface):
		step = "--netns, --pid or --pod name another network namespace"
	case errors.Is(err, change.ErrOthers):
		step = "--force does it all the same"
	case errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, pin.ErrLocked):
		step = "--timeout gives it longer"
	default:
		return err
	}
	separator := "; "
	if strings.Contains(err.Error(), "\n") {
		separator = "\n"
	}
	return fmt.Errorf("%w%s%s", err, separator, step)
}

func isAny(err error, targets ...error) bool {
	return slices.ContainsFunc(targets, func(target error) bool { return errors.Is(err, target) })
}

func hintRoot(err error) error {
	if err == nil || os.Geteuid() == 0 {
		return err
	}
	// Package ns, of the CNI project, keeps of its errors the words alone.
	if errors.Is(err, fs.ErrPermission) || strings.Contains(err.Error(), unix.EPERM.Error()) {
		err = fmt.Errorf("%w\nthe chains of a node are for root to see and to change: run it with sudo", err)
	}
	return err
}

// tell writes an error to stderr, each line of it with the command's name, and below it
// the end of the verifier's log where a program was refused. It returns the exit status.
func tell(err error) int {
	for _, line := range render.Lines(err) {
		fmt.Fprintln(os.Stderr, "xdpctl:", line)
	}
	var refused *dispatcher.RefusedError
	if errors.As(err, &refused) {
		for _, line := range refused.Log {
			fmt.Fprintln(os.Stderr, " ", line)
		}
	}
	var as *statusError
	if errors.As(err, &as) {
		return as.status
	}
	return exitUsage
}
