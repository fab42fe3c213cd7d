// SPDX-License-Identifier: Apache-2.0

// Package bpfspec reads cilium/ebpf's specs of programs and maps: which program of a
// collection can stand in a chain, what it refers to, and what the entries of its maps run.
//
// # Mechanism
//
// A program refers to a map by the name of the map in its collection, an array or hash of
// maps to inner maps by theirs, and an entry of a devmap or cpumap to a program of the same
// collection by a [chain.EntryProgram]. What a program needs is what can be reached so.
//
// # Invariants
//
// Nothing here changes a spec.
package bpfspec
