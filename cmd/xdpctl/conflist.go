// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/containernetworking/cni/libcni"

	"github.com/xdp-chain/xdp-chain/internal/config"
)

// pluginType is the type of our entry in a conflist.
const pluginType = "xdp-chain"

// readConflist returns our entry in a conflist as a runtime hands it over: numbers are
// rounded as libcni rounds them. Errors are a sentence a line, each with the file.
func readConflist(path string) (*config.Conf, error) {
	list, err := libcni.NetworkConfFromFile(path)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	i, err := ourEntry(list)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	c, err := parseEntry(list, i)
	if err != nil {
		return nil, inEachLine(path, err)
	}
	return c, nil
}

// ourEntry returns which plugin of a network is ours.
func ourEntry(list *libcni.NetworkConfigList) (int, error) {
	var ours []int
	for i, plugin := range list.Plugins {
		if plugin.Network.Type == pluginType {
			ours = append(ours, i)
		}
	}
	switch len(ours) {
	case 0:
		return 0, fmt.Errorf("network %q has no plugin of type %s; its pods get no chain", list.Name, pluginType)
	case 1:
		return ours[0], nil
	}
	return 0, fmt.Errorf("network %q has %d plugins of type %s (the first are plugins[%d] and plugins[%d]); the later ones replace the chain of the earlier: put all programs into one",
		list.Name, len(ours), pluginType, ours[0], ours[1])
}

// parseEntry reads our entry. Errors are a sentence a line, each with the entry's place.
func parseEntry(list *libcni.NetworkConfigList, i int) (*config.Conf, error) {
	c, err := config.Parse(list.Plugins[i].Bytes)
	if err != nil {
		return nil, inEachLine(entryPath(i), err)
	}
	c.Name = list.Name
	return c, nil
}

func entryPath(i int) string { return fmt.Sprintf("plugins[%d]", i) }

// inEachLine puts a place in front of every line of an error.
func inEachLine(place string, err error) error {
	var errs []error
	for line := range strings.Lines(err.Error()) {
		errs = append(errs, fmt.Errorf("%s: %s", place, strings.TrimSpace(line)))
	}
	return errors.Join(errs...)
}
