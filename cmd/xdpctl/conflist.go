// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/containernetworking/cni/libcni"

	"github.com/xdp-chain/xdp-chain/pkg/netconf"
)

// pluginType is the type of our entry in a conflist.
const pluginType = "xdp-chain"

// readConflist returns our entry in a conflist as a runtime hands it over: numbers are
// rounded as libcni rounds them. Errors are a sentence a line, each with the file.
func readConflist(path string) (*netconf.Conf, error) {
	list, err := libcni.NetworkConfFromFile(path)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	var ours []int
	for i, plugin := range list.Plugins {
		if plugin.Network.Type == pluginType {
			ours = append(ours, i)
		}
	}
	switch len(ours) {
	case 0:
		return nil, fmt.Errorf("%s: network %q has no plugin of type %s; its pods get no chain", path, list.Name, pluginType)
	case 1:
	default:
		return nil, fmt.Errorf("%s: network %q has %d plugins of type %s (the first are plugins[%d] and plugins[%d]); the later ones replace the chain of the earlier: put all programs into one",
			path, list.Name, len(ours), pluginType, ours[0], ours[1])
	}
	c, err := netconf.Parse(list.Plugins[ours[0]].Bytes)
	if err != nil {
		return nil, inEachLine(fmt.Sprintf("%s: plugins[%d]", path, ours[0]), err)
	}
	c.Name = list.Name
	return c, nil
}

// inEachLine puts a place in front of every line of an error.
func inEachLine(place string, err error) error {
	var errs []error
	for line := range strings.Lines(err.Error()) {
		errs = append(errs, fmt.Errorf("%s: %s", place, strings.TrimSpace(line)))
	}
	return errors.Join(errs...)
}
