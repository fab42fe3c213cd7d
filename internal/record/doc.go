// SPDX-License-Identifier: Apache-2.0

// Package record keeps on file what is known of each chain on the node, so that
// any process can change, check or take down a chain that another one made, and
// finish what a killed one began.
//
// # Layout
//
// Below the root of a [Dir], which is on a tmpfs and gone at reboot as the chains
// are:
//
//	chains/<key>.json                   one Record a chain
//	attachments/<network>/<hash>.json   one Attachment an attachment: which chains it is in
//	kernel.json                         one Kernel: what was found out about it
//	broken/<time>-<name>                files that did not parse, set aside
//	tmp/                                files being written
//
// DEL knows a network, a container and an interface name and nothing else; the
// attachment's file leads it from there to the chains. Its name is the hash of the
// last two, so that nothing from outside comes to be a path; a network's name does,
// and is checked.
//
// # How a change is recorded
//
// Before the kernel is changed the record says in Pending what is about to run;
// after, that becomes State. Whoever finds a Pending looks which of the two the
// interface carries, and goes on from that one.
//
// # Files
//
// A file is never written in place: it is written in tmp and renamed, so a reader
// sees the old one or the new one. What a killed writer leaves in tmp is removed
// with the file it was meant for, or, once it is older than any living writer
// could be, by whoever comes by.
//
// A file that does not parse, in every field, is never guessed at. It is set aside
// in broken, where the newest [MaxBroken] files stay to be looked at, and the
// caller gets a [BrokenError] that names both places. A file that a later version of
// this format wrote stays where it is, see [ErrVersion].
//
// # Traps
//
// Records are changed under their chain's lock only, and the methods that change
// one want the proof of it. Attachments have no lock of their own: CNI does not let
// a runtime do two things at once to one container.
package record
