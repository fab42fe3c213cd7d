// SPDX-License-Identifier: Apache-2.0

package catalog

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/xdp-chain/xdp-chain/internal/config"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
)

// CheckMaps returns nil if the program will read every entry that the settings
// give. In a map of [Entry.Lists] it would not see what stands behind a gap in the
// keys, and a rule that silently does not hold is worse than none: that is an error
// that names the gap and satisfies errors.Is(err, [chain.ErrInvalid]). Keys that
// are no numbers are not judged here: they do not fit the map's type.
func (e Entry) CheckMaps(settings map[string]config.MapSettings) error {
	for _, name := range e.Lists {
		entries := settings[name].Entries
		keys := make(map[uint64]bool, len(entries))
		for _, entry := range entries {
			key, err := strconv.ParseUint(strings.Trim(string(entry.Key), `"`), 0, 32)
			if err != nil {
				return nil
			}
			keys[key] = true
		}
		for i := range uint64(len(keys)) {
			if !keys[i] {
				return fmt.Errorf("%w: map %q of program %q has no key %d but key %d; the program reads up to the first key that is missing, so number the entries 0, 1, 2 and so on",
					chain.ErrInvalid, name, e.Name, i, highest(keys))
			}
		}
	}
	return nil
}

func highest(keys map[uint64]bool) uint64 {
	var all []uint64
	for key := range keys {
		all = append(all, key)
	}
	return slices.Max(all)
}
