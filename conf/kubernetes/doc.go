// SPDX-License-Identifier: Apache-2.0

// Package kubernetes holds manifests for clusters. It is a package only for their test.
//
// program-names.yaml limits which programs the pods of a namespace may name, at
// admission. Its expressions are for the API server's CEL, which nothing here depends on; the
// test is that the API server could read the file, and that it speaks of the annotation that
// the plugin reads.
package kubernetes
