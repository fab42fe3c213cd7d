// SPDX-License-Identifier: Apache-2.0

// Package netdev is the kernel's side of a chain's interface: network namespaces
// and their cookies, interfaces and their veth peers, the one XDP hook each
// interface has: attach, swap, query, detach; and GRO, which makes a veth poll.
//
// # Mechanism
//
// A [NetNS] is entered once, when it is opened, to make a rtnetlink socket in it
// and to read its cookie. The socket stays in the namespace it was made in, so
// every later query and every change by netlink goes through it from whatever
// thread, with no further namespace switch. Only what the kernel resolves in the
// caller's own namespace, which is the creation of a bpf_link and what ethtool(8)
// does, runs in [NetNS.Do].
//
// XDP can be held in two ways. By netlink the interface itself holds the program,
// and whoever has CAP_NET_ADMIN in the namespace may take it off. By bpf_link a
// file descriptor or a pin holds it, and the kernel refuses every change by
// netlink. Either way a swap is one pointer exchange in the kernel: a packet meets
// the old program or the new one, never none.
//
// # Modes
//
// auto means native, and generic where the driver or the MTU does not allow
// native; [AttachResult] records which it was and why. What counts as such a reason is
// what errors.Is(err, [ErrUnsupported]) says:
//
//   - EOPNOTSUPP: the driver has no native XDP (bridge, macvlan, dummy, loopback,
//     tun without an Ethernet header), or refuses it as it is set up now
//   - ERANGE: the MTU of a veth's peer is too large ([MTUError])
//   - ENOSPC: a veth has fewer receive queues than its peer has transmit queues
//     ([QueueError])
//   - EINVAL: what several drivers of network cards return for an MTU they cannot
//     take
//
// An occupied hook (EBUSY, EEXIST) is never a reason: a foreign native program
// would then be joined by a generic one behind it, or ours be shadowed.
//
// # Invariants
//
// Nothing here takes off or replaces a program that the caller did not name: the
// first attach demands an empty hook, and swap and detach by netlink carry the
// expected program, which the kernel compares under its own lock.
//
// # Traps
//
// The MTU that native XDP on a veth depends on is the peer's, not the interface's
// own: frames up to the peer's MTU arrive here, and each must fit in one page.
//
// Never key by the inode of a namespace; the kernel hands it out again at once.
// The cookie is never reused until reboot.
//
// A bpf_link tells the index of its interface and not the namespace. Which of two links
// with one program and one index is whose nobody can say; see [Interface.HeldBy].
//
// An [Interface] is a snapshot. Its index stays right for as long as it stays in
// its namespace; its other fields are as of the query.
package netdev
