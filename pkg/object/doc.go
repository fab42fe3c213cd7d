// SPDX-License-Identifier: Apache-2.0

// Package object turns a compiled BPF object, from a file or from bytes, into
// one XDP program that can stand in a chain: checked, chosen by function name,
// its globals and map entries set from JSON by the object's own BTF. Nothing here talks to the kernel: loading is the
// dispatcher's, and so is everything that only a kernel can answer (CO-RE, which
// kfuncs there are, the verifier).
//
// # Mechanism
//
// [Open] reads a file that only root can have written; [New] takes bytes. Both
// parse once, with cilium/ebpf. [Object.Program] chooses a program and copies out
// of the parsed object what this program needs and nothing else, so that an
// object with several programs loads only the one named. [Program.ConfigureMaps]
// and then [Program.SetGlobals] change that copy; the first also brings in the programs
// that entries of devmaps and cpumaps name, entry programs, which the dispatcher loads
// with the program and puts into the map.
//
// # Values
//
// JSON is encoded by BTF type:
//
//   - integers of 1 to 16 bytes from JSON integers, exactly, or from strings of
//     decimal or 0x digits; anything that does not fit is an error;
//   - bool from true and false, and from nothing else;
//   - enums from the enumerators' names, or from integers;
//   - char arrays from strings, which must leave room for the NUL;
//   - other arrays from lists of exactly their length;
//   - u8[4], u8[16], u8[6], __be32, __be32[4], struct in_addr and struct in6_addr
//     from addresses ("10.0.0.1", "2001:db8::1", "02:00:00:00:00:01"), too; where
//     16 bytes are to hold IPv4, it is IPv4-mapped (::ffff:10.0.0.1);
//   - structs from objects; a member that is left out is zero, as in C; a union
//     from an object with one member;
//   - a struct of a 4-byte integer prefixlen (or prefix_len) and an address from
//     a prefix ("10.0.0.0/8"), and every LPM map's key that is a length and an
//     address, too; a bare address is a prefix of full length.
//
// Floats, pointers and bit-fields are refused. The values of devmaps and cpumaps are not
// encoded by their types: they are {"ifindex": 7} and {"qsize": 192}, with "program" where
// an entry program is to run.
//
// # Invariants
//
// Every error about an object satisfies errors.Is(err, [ErrUnusable]). Two
// Programs of one Object share no bytes that either changes; the BTF types that
// hang on instructions are shared and must be copied before a change.
//
// A hostile object costs at most a few hundred MiB and never a panic: all that
// cilium/ebpf and debug/elf trust is checked before they see it (elf.go).
//
// # Traps
//
// Integers are in the host's byte order, whatever the program means by them. What
// is compared with a field of a packet, a port say, has to be swapped, and doing
// it is the program's business: bpf_htons(port) with port set to 80 is right,
// setting a __be16 to 80 is not.
//
// CNI runtimes pass the configuration through float64: an integer past 2^53 that
// is written as a JSON number arrives rounded, without a word. Write it as a
// string.
//
// Variables declared static cannot be set: clang leaves no symbol for them.
//
// A map declared LIBBPF_PIN_BY_NAME arrives in the spec without its pinning, so
// that loading does not pin it; [Program.PinnedByName] remembers.
package object
