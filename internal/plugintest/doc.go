// SPDX-License-Identifier: Apache-2.0

// Package plugintest drives the built binaries as those who use them do: the plugin
// as a runtime, xdpctl as an operator. The black-box suites in integration/ share it;
// only tests import it.
//
// # Mechanism
//
// The first test that needs a binary builds the plugin and xdpctl, into the private
// /run of testenv. Where there is no compiler, in the guests of integration/vm, the
// environment variable XDP_CHAIN_BIN names a folder that has them.
//
// # Invariants
//
// Nothing here imports the project's packages besides testenv: what a suite knows of
// the plugin and of xdpctl's output is what their documentation promises.
package plugintest
