// SPDX-License-Identifier: Apache-2.0

// Package change changes chains: each under its lock, in one atomic swap, whatever dies.
//
// # Mechanism
//
// [Lock] takes a chain's lock and finishes or undoes what a killed process left half done. A
// change then goes through these steps:
//
//  1. build: the dispatcher is loaded whole, with the maps of members that stay;
//  2. record: the record says which generation is coming and which program it is;
//  3. stage: the new generation's maps are pinned beside those of the old one;
//  4. swap: one bpf_link update, or one netlink replace, puts it in place;
//  5. commit: the record makes it final, and its pins take the place of the old.
//
// # A member
//
// What the chain is to have is a plan of resolve.Member. What it has is in the record. For the
// dispatcher, a member is a dispatcher.Member with the maps that it keeps or shares.
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
// # Invariants
//
// At every instant the interface carries the old chain or the new one. Whatever
// dies between two steps, the next holder of the chain's lock asks the kernel
// which of the two it runs and finishes or undoes the change.
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
package change
