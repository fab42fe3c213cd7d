// SPDX-License-Identifier: Apache-2.0

// Package node keeps the chains of one node: it is where programs, interfaces,
// pins and records come together. The plugin and xdpctl call this package and
// none below it.
//
// # Mechanism
//
// A CNI attachment has members in the chain of its pod's interface, in that of the
// veth peer on the host, or in both. [Node.Apply] resolves its programs before it
// touches anything, writes the attachment's index, and then changes each chain
// under that chain's lock:
//
//  1. build: the dispatcher is loaded whole, with the maps of members that stay;
//  2. record: the record says which generation is coming and which program it is;
//  3. stage: the new generation's maps are pinned beside those of the old one;
//  4. swap: one bpf_link update, or one netlink replace, puts it in place;
//  5. commit: the record makes it final, and its pins take the place of the old.
//
// [Node.Remove] goes the other way: link, pins, record, folder, index.
//
// # What pods ask for
//
// Programs with a band come from a pod's annotation. Package catalog has judged what it
// says; what takes the object is judged here, with the same error, before anything is
// touched: the priority that the program gets, whether what pods may set fits its
// variables, and that it does not stand where packets could get past the network's own
// programs. [Preview] ends there, and is what xdpctl shows.
//
// # Members by hand
//
// [Node.Load], [Node.Unload] and [Node.Replace] change one member of one chain, for the
// owner cli, by the same steps. No index leads to such members: they are found by their
// ids, in the records. No attachment's coming or going touches them; they stay until they
// are unloaded or their interface is gone.
//
// # Chains shared with libxdp's tools
//
// A chain in libxdp's dispatcher may be changed at any time by others who know nothing
// of our locks. What the interface carries is read before each operation; our members
// are the programs whose ids are recorded, and the rest is kept as it is. A swap that
// came too late is made again from what is there by then.
//
// # Members that transmit
//
// What a veth sends by XDP in native mode its other end takes only while it polls. GRO
// makes it poll, and is turned on there between steps 2 and 3, after the record says
// that it was off; it goes off again once no generation that runs needs it. So what a
// death leaves is restored by whoever takes the lock next. See netdev.HaveGROPolling
// for where that does not do, and dispatcher.Options.TXByRedirect for XDP_TX.
//
// # What nobody needs any more
//
// [Node.Sweep] takes a few dead chains away beside an ADD, [Node.GC] is CNI's verb, and
// [Node.Leftovers] looks at the whole node for people: from dead chains on to what was there
// for their sake alone, and without a trace, so that it may be asked at any time.
// [Node.ExamineState] tells of them as doctor does.
//
// # Invariants
//
// At every instant the interface carries the old chain or the new one. Whatever
// dies between two steps, the next holder of the chain's lock asks the kernel
// which of the two it runs and finishes or undoes the change, so that every public
// method starts from a chain that is whole. The index is written before the first
// change and removed after the last, so DEL finds everything by three names.
//
// A chain is rebuilt from its record and the store alone: the files that its
// members came from may have changed or gone.
//
// # Traps
//
// The counters of a generation go with it; what they counted is added to the
// record's base when the next one is committed, after a grace period of the
// kernel, since packets that were inside at the swap are still to be counted.
//
// A process that was killed between attach and pin frees its locks a moment before
// the kernel takes its unpinned link down. The next holder waits for that, or its
// own attach would meet a busy hook.
//
// GRO at a veth's other end stays on where the record was lost: nobody knows then that it
// was off.
//
// Entries of node-scoped maps are put in and never taken out: nobody knows who else
// relies on them. What an older configuration put there, such as the rules that a
// newer one has fewer of, stays until the network's last attachment goes.
//
// A DEL of a libxdp chain whose record was lost takes its pins away, and cannot find the
// interface: until that goes, with the pod, its dispatcher lets packets through. Before a
// DEL, an ADD finds the members again by their links.
//
// An interface with members by hand may be moved to another namespace, and the path of
// its own may be a process's that ends. Such a chain is looked for by its program in all
// namespaces there are, is not taken for dead, and can be taken off where it is; a pod's
// is not looked for, as that costs more the more pods there are.
//
// Members by hand are in no index. Where the record of their chain is lost, an ADD makes
// the chain anew without them, and a load is refused until they are taken off by force.
//
// The path of a network namespace may lead to a younger one by the time it is read
// from a record. Only the cookie in the chain's key says which one was meant.
package node
