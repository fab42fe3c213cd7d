// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/containernetworking/cni/libcni"
	"github.com/containernetworking/cni/pkg/utils"
	cniversion "github.com/containernetworking/cni/pkg/version"

	"github.com/xdp-chain/xdp-chain/internal/config"
)

// judgement is what can be told of a conflist without a pod. Its JSON form is stable:
// fields are added, none is taken away or given another meaning.
type judgement struct {
	File string `json:"file"`
	// Network is empty where the file cannot be read so far.
	Network string `json:"network,omitempty"`
	// Faults keep pods from getting their chain, or the conflist from being read. Each is
	// a sentence that begins with the place in the file, where there is one.
	Faults []string `json:"faults"`
	// Warnings keep something else from working.
	Warnings []string `json:"warnings"`

	conf *config.Conf // nil where it has faults
}

func (j *judgement) fault(format string, args ...any) {
	j.Faults = append(j.Faults, fmt.Sprintf(format, args...))
}

func (j *judgement) warn(format string, args ...any) {
	j.Warnings = append(j.Warnings, fmt.Sprintf(format, args...))
}

// faultLines adds a fault for each line of an error.
func (j *judgement) faultLines(err error) {
	if err == nil {
		return
	}
	for line := range strings.Lines(err.Error()) {
		j.fault("%s", strings.TrimSpace(line))
	}
}

// judge reads a conflist the way libcni does, and goes the way of an ADD as far as that is
// possible without a pod and without the kernel.
func judge(path string) *judgement {
	j := &judgement{File: path, Faults: []string{}, Warnings: []string{}}
	content, err := os.ReadFile(path)
	if err != nil {
		j.fault("%v", err)
		return j
	}
	if !j.isJSON(content) {
		return j
	}
	list, err := libcni.NetworkConfFromFile(path)
	if err != nil {
		j.fault("%s", strings.TrimPrefix(err.Error(), "error parsing configuration list: "))
		return j
	}
	j.Network = list.Name
	if err := utils.ValidateNetworkName(list.Name); err != nil {
		j.fault("name: %q: %s", list.Name, err.Msg)
	}
	j.versions(content)
	i, err := ourEntry(list)
	if err != nil {
		j.faultLines(err)
		return j
	}
	c, err := parseEntry(list, i)
	j.faultLines(err)
	j.order(list, i, c)
	if c != nil {
		j.capabilities(c, entryPath(i))
		j.programs(c, entryPath(i))
	}
	if len(j.Faults) == 0 {
		j.conf = c
	}
	return j
}

// isJSON looks for errors of syntax, whose place libcni does not tell.
func (j *judgement) isJSON(content []byte) bool {
	var any json.RawMessage
	err := json.Unmarshal(content, &any)
	var syntax *json.SyntaxError
	if !errors.As(err, &syntax) {
		return true
	}
	before := string(content[:syntax.Offset])
	line := strings.Count(before, "\n") + 1
	column := len(before) - strings.LastIndex(before, "\n") - 1
	j.fault("line %d, column %d: %v", line, column, err)
	return false
}

// pluginVersions are those of CNI that the plugin takes, see its main.go.
var pluginVersions = cniversion.VersionsStartingFrom("0.3.0").SupportedVersions()

// versions judges what runtimes choose the version of CNI from: old ones take cniVersion
// alone, those since libcni 1.2 the highest that they know of both fields.
func (j *judgement) versions(content []byte) {
	var given struct {
		CNIVersion  string   `json:"cniVersion"`
		CNIVersions []string `json:"cniVersions"`
	}
	if json.Unmarshal(content, &given) != nil {
		return // libcni has taken what it needs
	}
	for i, v := range given.CNIVersions {
		if !slices.Contains(pluginVersions, v) {
			j.warn("cniVersions[%d]: %s takes %s, and not %q", i, pluginType, strings.Join(pluginVersions, ", "), v)
		}
	}
	all := append([]string{given.CNIVersion}, given.CNIVersions...)
	switch v := given.CNIVersion; {
	case v == "" && len(given.CNIVersions) == 0:
		j.fault(`cniVersion: it is missing; write "cniVersion": "1.0.0"`)
	case v == "":
		j.warn(`cniVersion: it is missing, and runtimes before libcni 1.2 read that alone; write "cniVersion": "1.0.0"`)
	case !slices.Contains(pluginVersions, v) && !slices.ContainsFunc(given.CNIVersions, func(v string) bool { return slices.Contains(pluginVersions, v) }):
		j.fault(`cniVersion: %q; %s takes %s`, v, pluginType, strings.Join(pluginVersions, ", "))
	case !slices.Contains(pluginVersions, v):
		j.warn(`cniVersion: %q, and runtimes before libcni 1.2 read that alone; %s takes %s`, v, pluginType, strings.Join(pluginVersions, ", "))
	case v == "1.1.0":
		j.warn(`cniVersion: runtimes before libcni 1.2, such as containerd 1.6, refuse "1.1.0"; write "cniVersion": "1.0.0" and leave 1.1.0 to cniVersions`)
	}
	if !slices.Contains(all, "1.1.0") {
		j.warn(`cniVersions: without "1.1.0" in it runtimes call neither STATUS nor GC for this network`)
	}
}

// Plugins of the CNI project and others that make no interface for the pod, and those that
// make one which is no end of a veth pair.
var (
	chainedPlugins = []string{"bandwidth", "firewall", "istio-cni", "linkerd-cni", "portmap", "sbr", "tuning", "vrf"}
	vethlessMakers = []string{"dummy", "host-device", "ipvlan", "macvlan", "sriov", "tap", "vlan"}
)

// order judges our place among the network's plugins.
func (j *judgement) order(list *libcni.NetworkConfigList, i int, c *config.Conf) {
	maker := ""
	for _, plugin := range list.Plugins[:i] {
		if !slices.Contains(chainedPlugins, plugin.Network.Type) {
			maker = plugin.Network.Type
		}
	}
	switch {
	case maker == "":
		j.fault("%s: no plugin before it makes an interface for the pod; put it behind the one that does, such as bridge or ptp", entryPath(i))
	case c != nil && slices.Contains(vethlessMakers, maker):
		for n, p := range c.Programs {
			side := c.Side
			if p.Side != nil {
				side = *p.Side
			}
			if side == config.HostSide {
				j.fault("%s.programs[%d]: side host is the other end of a veth pair, and %s makes none; use side pod", entryPath(i), n, maker)
			}
		}
	}
}
