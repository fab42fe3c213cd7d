// SPDX-License-Identifier: Apache-2.0

// Package conflist reads the network configuration lists of CNI runtimes, and says what is
// wrong with them, as far as that can be told without a pod and without the kernel.
package conflist

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/containernetworking/cni/libcni"

	"github.com/xdp-chain/xdp-chain/cmd/xdpctl/internal/render"
	"github.com/xdp-chain/xdp-chain/internal/config"
)

// PluginType is the type of our entry in a conflist.
const PluginType = "xdp-chain"

// Read returns our entry in a conflist as a runtime hands it over: numbers are
// rounded as libcni rounds them. Errors are a sentence a line, each with the file.
func Read(path string) (*config.Conf, error) {
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
		return nil, render.InEachLine(path, err)
	}
	return c, nil
}

// ourEntries returns which plugins of a network are ours.
func ourEntries(list *libcni.NetworkConfigList) []int {
	var ours []int
	for i, plugin := range list.Plugins {
		if plugin.Network.Type == PluginType {
			ours = append(ours, i)
		}
	}
	return ours
}

// ourEntry returns which plugin of a network is ours; it has to be one alone.
func ourEntry(list *libcni.NetworkConfigList) (int, error) {
	switch ours := ourEntries(list); len(ours) {
	case 0:
		return 0, fmt.Errorf("network %q has no plugin of type %s; its pods get no chain", list.Name, PluginType)
	case 1:
		return ours[0], nil
	default:
		return 0, fmt.Errorf("network %q has %d plugins of type %s (the first are plugins[%d] and plugins[%d]); the later ones replace the chain of the earlier: put all programs into one",
			list.Name, len(ours), PluginType, ours[0], ours[1])
	}
}

// parseEntry reads our entry. Errors are a sentence a line, each with the entry's place.
func parseEntry(list *libcni.NetworkConfigList, i int) (*config.Conf, error) {
	c, err := config.Parse(list.Plugins[i].Bytes)
	if err != nil {
		return nil, render.InEachLine(entryPath(i), err)
	}
	c.Name = list.Name
	return c, nil
}

func entryPath(i int) string { return fmt.Sprintf("plugins[%d]", i) }

// Names tells whether a network's file names the plugin. One that is not JSON does where it
// has the name anywhere.
func Names(content []byte) bool {
	type plugin struct {
		Type string `json:"type"`
	}
	var network struct {
		plugin
		Plugins []plugin `json:"plugins"`
	}
	if err := json.Unmarshal(content, &network); err != nil {
		return bytes.Contains(content, []byte(`"`+PluginType+`"`))
	}
	isOurs := func(p plugin) bool { return p.Type == PluginType }
	return isOurs(network.plugin) || slices.ContainsFunc(network.Plugins, isOurs)
}

// NamesBeside tells whether a plugin in a file of its own, which libcni adds to the network,
// names ours.
func NamesBeside(file string) bool {
	list, err := libcni.NetworkConfFromFile(file)
	return err == nil && len(ourEntries(list)) > 0
}
