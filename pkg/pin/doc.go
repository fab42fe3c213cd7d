// SPDX-License-Identifier: Apache-2.0

// Package pin lays out what a node's chains keep in the kernel: the folder of
// pins that each chain has on bpffs, the pins that libxdp's tools look for, and the
// locks on those folders.
//
// # Layout
//
// Below the mount point of a bpffs, the [Tree]'s root:
//
//	xdp-chain/chains/<key>/link                  the bpf_link that holds the chain, none with netlink
//	xdp-chain/chains/<key>/counters              the verdict counters, none when they are off
//	xdp-chain/chains/<key>/maps/<member>/<map>   the maps of the members
//	xdp-chain/chains/<key>/links/<member>        the links of the members, with libxdp's dispatcher alone
//	xdp-chain/chains/<key>/next-<generation>/    counters, maps and links of a change under way
//	xdp-chain/node/<network>/<map>               the maps that a network's pods share
//	xdp-chain/netns/<cookie>/xdp/                libxdp's tree of a network namespace
//	xdp/                                         libxdp's tree of the host's
//
// Folders are 0700 and pins 0600. A name on bpffs cannot hold a dot, which stands
// in names of networks and of data sections, and it is written as a colon, which
// stands in neither.
//
// # Locks
//
// The lock on a chain is a flock on the chain's folder itself, and the lock on a
// network's maps one on the network's folder. So chains never wait for each
// other, a holder that is killed frees its lock, and no lock file is ever left.
// A folder that its holder removes takes the lock along: whoever waited for it
// notices that the path leads elsewhere, or nowhere, and starts over. [Locked],
// [NodeLocked] and [LibxdpLocked] are the proof that a lock is held, and everything
// that changes pins is a method of one of them.
//
// # Libxdp's trees
//
// libxdp and its tools know of a dispatcher's members by pins alone: those of
// dispatch-<ifindex>-<program id>/prog<slot>-link and -prog in the folder xdp of a
// bpffs, or of the folder that the environment variable LIBXDP_BPFFS names. They
// take a flock on that folder xdp while they read and write there. [Libxdp] is such a
// tree, and keeps to these names and this lock.
//
// Nothing but libxdp's names is in there: libxdp removes a dispatcher's folder with
// rmdir(2), which any other entry would keep from succeeding.
//
// Each network namespace has a tree of its own. "xdp-loader clean" removes the pins
// of every dispatcher that it does not find on its interface, and it looks for the
// interface in the namespace that it runs in: in one tree for all, it would take the
// links of every pod's members away and leave dispatchers that call stubs. The links
// of our members to the dispatcher that we made last are pinned in the chain's folder as
// well, where a "clean" in the wrong place does not reach them.
//
// # Generations
//
// Each change of a running chain makes a new set of maps, a generation. While the
// old one still runs, [Locked.Stage] pins the new one beside it; after the swap
// on the interface [Locked.FinalizePins] makes the new one the chain's. A process may
// die between any two steps. Which generation is the right one then is for the
// caller to tell, who knows what the interface carries; FinalizePins with that
// generation completes or takes back what was begun.
//
// # Traps
//
// A pin is a reference: a removed pin ends a map, and a removed link pin takes the
// chain off its interface, unless somebody else holds them.
//
// [ebpf.Map.Pin] on a map that was opened from a pin moves that pin. This package
// pins copies of file descriptors, so maps can be carried over from one
// generation into the next, and the maps it is given do not know of their pins. The
// same goes for programs and links, [Locked.PinLink] excepted.
//
// libxdp does not look again at its folder once it has the lock. A tool of its that
// waits while [LibxdpLocked.Unlock] removes an empty tree cannot make its pins then,
// and gives up before it has attached anything.
//
// On a node with an iproute2 that loads objects without libbpf, <root>/xdp may be a
// symbolic link to the folder tc beside it. libxdp follows it, and so do we.
//
// A bpffs that is mounted twice on one path hides the first one's pins, so
// [Tree.Ensure] mounts under a lock and looks again once it has it.
package pin
