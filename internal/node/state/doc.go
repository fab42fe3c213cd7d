// SPDX-License-Identifier: Apache-2.0

// Package state finds and reads what is known of the chains of a node: records, pins,
// interfaces, and whether a chain runs ([Node.Liveness], which everybody goes by).
//
// # A member
//
// Here a member is a record.Member: what is written down of it, enough to build it again. In
// libxdp's dispatcher, which others change as well, it is a [Slot] besides, found on the
// interface by its program's id.
//
// # Mechanism
//
// What is read without a chain's lock may change meanwhile. [Unchanged] reads between two looks
// at the record; [Node.FindLibxdp] looks again where the interface carries another program by
// then.
//
// What belongs to no chain alone goes with the last who needs it: an attachment's index, the
// maps that a network's pods share ([Node.DropNodeMaps]), those of manual members, and objects
// in the store.
//
// # Traps
//
// The path of a network namespace may lead to a younger one by the time it is read
// from a record. Only the cookie in the chain's key says which one was meant.
//
// An interface with manual members may be moved to another namespace, and the path of
// its own may be a process's that ends. Such a chain is looked for by its program in all
// namespaces there are, and is not taken for gone; a pod's is not looked for, as that costs
// more the more pods there are.
package state
