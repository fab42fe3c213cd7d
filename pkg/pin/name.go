// SPDX-License-Identifier: Apache-2.0

package pin

import (
	"fmt"
	"strings"

	"github.com/xdp-chain/xdp-chain/pkg/chain"
)

// maxName is the largest length of a file's name, in bytes (NAME_MAX of
// linux/limits.h).
const maxName = 255

// entryName returns how name is written on bpffs, which refuses dots
// (bpf_lookup of kernel/bpf/inode.c). Neither C identifiers, nor the dotted names
// of data sections, nor CNI's network names hold a colon, so it stands for the
// dot. A name that could not be read back, or that would lead elsewhere, is an
// error that satisfies errors.Is(err, [chain.ErrInvalid]).
func entryName(name string) (string, error) {
	switch {
	case name == "":
		return "", fmt.Errorf("%w: a name on bpffs cannot be empty", chain.ErrInvalid)
	case len(name) > maxName:
		return "", fmt.Errorf("%w: name %.20q… has %d bytes; a name on bpffs has at most %d", chain.ErrInvalid, name, len(name), maxName)
	case strings.ContainsAny(name, "/:\x00"):
		return "", fmt.Errorf("%w: name %q; a name on bpffs holds no slash, no colon and no NUL", chain.ErrInvalid, name)
	}
	return strings.ReplaceAll(name, ".", ":"), nil
}

// nameOf is the inverse of entryName.
func nameOf(entry string) string { return strings.ReplaceAll(entry, ":", ".") }
