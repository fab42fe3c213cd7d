// SPDX-License-Identifier: Apache-2.0

package netdev

import "errors"

var (
	// ErrNetNSGone is wrapped by every error about a path that leads to no network
	// namespace: it does not exist, it is a stale file, or it is something else.
	ErrNetNSGone = errors.New("no network namespace")

	// ErrNoInterface is wrapped by every error about an interface that is not where
	// it was looked for.
	ErrNoInterface = errors.New("no such interface")

	// ErrNotVeth is wrapped by every error about the peer of an interface that, being
	// no veth, has none.
	ErrNotVeth = errors.New("not a veth")

	// ErrBusy is wrapped by every error about an XDP hook that something else holds;
	// [BusyError] says what.
	ErrBusy = errors.New("XDP hook is busy")

	// ErrCovered is wrapped by every error about a program that netlink cannot change because
	// an interface on top of its own carries one, too. Such errors are about a busy hook
	// as well ([ErrBusy]), but nobody was faster: to try again is in vain.
	ErrCovered = errors.New("an interface on top carries an XDP program")

	// ErrNotAttached is wrapped by every error about a swap of a program that is no
	// longer there, with nothing in its place.
	ErrNotAttached = errors.New("no XDP program attached")

	// ErrUnsupported is wrapped by every error about a mode that the interface cannot
	// take as it is: no driver support, the MTU ([MTUError]), the number of queues
	// ([QueueError]). Mode auto goes on to generic on it.
	ErrUnsupported = errors.New("XDP mode not supported")
)
