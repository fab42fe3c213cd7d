// SPDX-License-Identifier: Apache-2.0

// Package inspect shows what there is: the chains of a node and who is in them, who decided
// over packets, the flows that members have counted, and whose the XDP programs of the machine
// are. Its types are what `xdpctl -o json` prints; their JSON form is stable.
//
// # A member
//
// A [Member] is a member as it is shown, in a chain, on a hook, or as [Detail] with all that is
// known of it. A member of libxdp's tools is one, too; it has no id.
//
// # Mechanism
//
// Nothing here takes a lock. A chain that is being changed is shown as it was or as it will
// be, and what could not be read is an error beside the rest.
package inspect
