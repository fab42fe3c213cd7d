// SPDX-License-Identifier: Apache-2.0

// Package containerd holds the suite that runs pods on a real container runtime:
// containerd and runc, driven through CRI as a kubelet drives them, with the bridge
// plugin and ours in the pods' network. It has tests alone.
//
// # Mechanism
//
// Two releases of containerd run each test: the distribution's, and a current one
// that also asks plugins for STATUS. hack/containerd.sh brings both into
// .cache/containerd. The distribution's packages are downloaded and unpacked there,
// not installed: installing containerd would start it as a service of the machine,
// and none of what the packages set up is wanted.
//
// Each test starts a containerd of its own in the sandbox of testenv, with a
// configuration that puts root, state, sockets, network configuration and plugins
// into one folder on the sandbox's /run, and ends it and its pods. runc keeps its
// containers in the machine's cgroups; each test looks whether any is left. The one
// image is made by the tests, from a static busybox.
//
// What a test knows of our plugin comes from the runtime's answers, from xdpctl,
// from the plugin's logFile and from packets.
//
// # Invariants
//
// Nothing here imports the project's packages besides the helpers of tests. Every
// test runs in onEach, which begins with testenv.NoLeaks.
//
// # Traps
//
// What a kubelet is told is the text of an error alone: CRI answers carry gRPC's
// code Unknown whatever the plugin's code was.
//
// A shim is no child of its containerd: it ends with its pod, or with the sandbox.
//
// A run that is killed leaves the cgroups of its containers, empty: they are outside
// of the sandbox.
//
// containerd watches its folder of network configurations, but overlooks a file that
// is moved there from elsewhere.
package containerd
