// SPDX-License-Identifier: Apache-2.0

package resolve

import (
	"encoding/json"
	"fmt"

	"github.com/xdp-chain/xdp-chain/internal/config"
	"github.com/xdp-chain/xdp-chain/pkg/object"
)

func expandGlobals(globals map[string]json.RawMessage, pod object.Pod, final map[string]json.RawMessage) (map[string]json.RawMessage, error) {
	if len(globals) == 0 {
		return nil, nil
	}
	expanded := make(map[string]json.RawMessage, len(globals))
	for name, value := range globals {
		if v, ok := final[name]; ok {
			expanded[name] = v
			continue
		}
		v, err := pod.Expand(value)
		if err != nil {
			return nil, fmt.Errorf("global %q: %w", name, err)
		}
		expanded[name] = v
	}
	return expanded, nil
}

func expandMaps(maps map[string]config.MapSettings, pod object.Pod, final map[string]config.MapSettings) (map[string]config.MapSettings, error) {
	if len(maps) == 0 {
		return nil, nil
	}
	expanded := make(map[string]config.MapSettings, len(maps))
	for name, s := range maps {
		if s, ok := final[name]; ok {
			expanded[name] = s
			continue
		}
		entries := make([]config.MapEntry, len(s.Entries))
		for i, e := range s.Entries {
			key, err := pod.Expand(e.Key)
			if err != nil {
				return nil, fmt.Errorf("map %q, key of entry %d: %w", name, i, err)
			}
			value, err := pod.Expand(e.Value)
			if err != nil {
				return nil, fmt.Errorf("map %q, value of entry %d: %w", name, i, err)
			}
			entries[i] = config.MapEntry{Key: key, Value: value}
		}
		s.Entries = entries
		expanded[name] = s
	}
	return expanded, nil
}
