// SPDX-License-Identifier: Apache-2.0

// Package jsonint reads and writes whole numbers as JSON holds them: as numbers, and as
// strings of decimal or 0x digits, which CNI runtimes leave alone where they round
// JSON numbers past 2^53.
//
// It is one package so that what a policy has checked and what is then written into a
// program are the same number.
package jsonint
