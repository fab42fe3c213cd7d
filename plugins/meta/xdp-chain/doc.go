// SPDX-License-Identifier: Apache-2.0

// Command xdp-chain is a CNI chained plugin: it puts an ordered chain of XDP
// programs on the interface that the plugins before it made, and takes it away
// with the pod.
//
// # Mechanism
//
// The process is started for one verb and ends. It reads the network
// configuration from stdin (internal/config), finds the pod's interface in prevResult
// (cni.go), hands both to internal/node and prints prevResult as it came. What
// internal/node returns becomes one of CNI's or of our error codes (cni.go). Nothing
// here knows about BPF.
//
// # Invariants
//
// ADD, CHECK and STATUS read the configuration strictly: an unknown field, a
// field given twice or a wrong type is an error, for a misspelt policy must not
// become an open door. DEL and GC read nothing of it but the network's name (and
// GC the attachments that the runtime holds valid), for a pod must be able to go
// whatever has become of the configuration since it came. So neither sees the catalog
// or the pod's annotations.
//
// What a pod asks for by annotation is refused unless the network's policy allows
// it (code 102): nothing is taken for the next best.
//
// Logging never fails a verb: what cannot be written to logFile goes to stderr.
//
// # Waiting
//
// ADD, DEL, CHECK and STATUS wait at most 10 seconds for locks of other
// processes, GC 100; then they return code 11 and name the holder. Both are below
// the two minutes that the kubelet gives a runtime.
//
// # Traps
//
// The skeleton of the CNI library refuses a CNI_NETNS that is the plugin's own
// namespace only after ADD has returned, when the chain is there already; so ADD
// looks first.
//
// The binary is started several times for every pod. Anything that initialises
// itself at start (command-line, registry or metrics libraries, regular
// expressions) is paid for by each of them.
package main
