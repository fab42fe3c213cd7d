// SPDX-License-Identifier: Apache-2.0

package state

// NeededObjects is for tests of what a pruned store keeps.
var NeededObjects = (*Node).neededObjects
