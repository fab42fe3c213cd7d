// SPDX-License-Identifier: Apache-2.0

// Package schema holds JSON schemas (draft 2020-12) of what people write for xdp-chain and
// of what xdpctl prints, for editors, linters and programs that read the output.
//
// netconf.schema.json and catalog-entry.schema.json refuse what the plugin refuses, as far
// as one document can tell. Those of output leave room for fields that are added later.
//
// Nothing of this is in the binaries: the parsers of internal/config and internal/catalog are the
// authority, and tests hold the schemas to them.
package schema

import "embed"

// Files are the schemas. They refer to each other by their names.
//
//go:embed *.schema.json
var Files embed.FS
