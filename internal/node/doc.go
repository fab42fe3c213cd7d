// SPDX-License-Identifier: Apache-2.0

// Package node keeps the chains of one node: it is where programs, interfaces,
// pins and records come together. The plugin and xdpctl call this package and the rooms
// below it; whoever only looks at chains goes to inspect or doctor.
//
// # Rooms
//
//   - state: one chain's record, pins and interface, found and read, and whether it runs;
//   - resolve: programs that are wanted become members, with nothing but files read;
//   - change: a locked chain, and its one swap;
//   - inspect: what people and programs are shown;
//   - doctor: what is wrong on this node, and what nobody needs any more.
//
// Imports run from node and doctor to change, and from all to resolve and state, which do not
// know of each other.
//
// # A member
//
// On its way from the conflist to the kernel a member is five types, each with what is known
// of it by then: a config.Program is what somebody wants; a resolve.Member has its object and
// what the record will say of it, a record.Member, in which its place in the chain is a
// chain.Member; a dispatcher.Member is what is loaded. What is shown is an inspect.Member,
// and of a chain that is only thought of a [PlannedMember].
//
// # Mechanism
//
// A CNI attachment has members in the chain of its pod's interface, in that of the
// veth peer on the host, or in both. [Node.Apply] resolves its programs before it
// touches anything, writes the attachment's index, and then has package change change each
// chain under that chain's lock. [Node.Remove] goes the other way: link, pins, record,
// folder, index.
//
// [Node.Load], [Node.Unload] and [Node.Replace] change one member of one chain, for the
// owner cli, by the same steps. No index leads to such manual members: they are found by their
// ids, in the records. No attachment's coming or going touches them; they stay until they
// are unloaded or their interface is gone.
//
// [Node.Sweep] takes a few dead chains away beside an ADD, and [Node.GC] is CNI's verb;
// doctor.Leftovers looks at the whole node for people. All of them go by state.Node.Liveness.
//
// # Invariants
//
// The index is written before the first change and removed after the last, so DEL finds
// everything by three names. A chain is rebuilt from its record and the store alone: the
// files that its members came from may have changed or gone. Every public method starts from
// chains that are whole, as package change recovers them.
//
// # Traps
//
// A DEL of a libxdp chain whose record was lost takes its pins away, and cannot find the
// interface: until that goes, with the pod, its dispatcher lets packets through. Before a
// DEL, an ADD finds the members again by their links.
//
// Manual members are in no index. Where the record of their chain is lost, an ADD makes
// the chain anew without them, and a load is refused until they are taken off by force.
package node
