// SPDX-License-Identifier: Apache-2.0

package pin

import (
	"fmt"
	"path/filepath"

	"github.com/xdp-chain/xdp-chain/pkg/chain"
)

// MapPath returns where a map of a member of a chain is pinned, by its name in the
// member's object, once the chain's generation is settled. A name that cannot stand on
// bpffs is an error that satisfies errors.Is(err, [chain.ErrInvalid]).
func (t Tree) MapPath(key chain.Key, member, name string) (string, error) {
	folder, err := entryName(member)
	if err != nil {
		return "", fmt.Errorf("member %q: %w", member, err)
	}
	entry, err := entryName(name)
	if err != nil {
		return "", fmt.Errorf("map %q: %w", name, err)
	}
	return filepath.Join(t.chain(key), mapsName, folder, entry), nil
}

// NodeMapPath returns where a map of a network would be pinned. Errors are as those of
// MapPath.
func (t Tree) NodeMapPath(network, name string) (string, error) {
	folder, err := entryName(network)
	if err != nil {
		return "", fmt.Errorf("network %q: %w", network, err)
	}
	entry, err := entryName(name)
	if err != nil {
		return "", fmt.Errorf("map %q: %w", name, err)
	}
	return filepath.Join(t.node(), folder, entry), nil
}
