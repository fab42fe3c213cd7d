// SPDX-License-Identifier: Apache-2.0

// Command xdpctl shows the XDP chains of a node: which there are, which members
// run in which order, which member decided over how many packets, and which flows
// these were of; and it says what chain a pod would get. It reads what pkg/node keeps,
// takes no locks, and changes no chain. docs/xdpctl.md is its manual and documents
// its JSON output, which is stable.
//
// Its exit status is 0 when everything was shown, 1 when something could not be
// read, and 2 when it was called wrongly or the pod in question would be refused. What
// could be read is shown in any case; what could not is said on stderr, one sentence
// a fault.
package main
