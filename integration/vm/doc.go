// SPDX-License-Identifier: Apache-2.0

// Package main is the lab.
package main
