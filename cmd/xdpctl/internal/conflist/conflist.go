// SPDX-License-Identifier: Apache-2.0

// Package conflist reads the network configuration lists of CNI runtimes, and says what is
// wrong with them, as far as that can be told without a pod and without the kernel.
package conflist

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/containernetworking/cni/libcni"
	"github.com/containernetworking/cni/pkg/utils"
	cniversion "github.com/containernetworking/cni/pkg/version"

	"github.com/xdp-chain/xdp-chain/cmd/xdpctl/internal/render"
	"github.com/xdp-chain/xdp-chain/internal/catalog"
	"github.com/xdp-chain/xdp-chain/internal/config"
	"github.com/xdp-chain/xdp-chain/internal/node"
	"github.com/xdp-chain/xdp-chain/internal/node/resolve"
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
	return c, render.InEachLine(path, err)
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

// parseEntry reads our entry; nil with an error. Errors are a sentence a line, each with the
// entry's place.
func parseEntry(list *libcni.NetworkConfigList, i int) (*config.Conf, error) {
	c, err := config.Parse(list.Plugins[i].Bytes)
	if err == nil {
		c.Name = list.Name
	}
	return c, render.InEachLine(entryPath(i), err)
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

// Validation is what can be told of a conflist without a pod. Its JSON form is stable:
// fields are added, none is taken away or given another meaning.
type Validation struct {
	File string `json:"file"`
	// Network is empty where the file cannot be read so far.
	Network string `json:"network,omitempty"`
	// Faults keep pods from getting their chain, or the conflist from being read. Each is
	// a sentence that begins with the place in the file, where there is one.
	Faults []string `json:"faults"`
	// Warnings keep something else from working.
	Warnings []string `json:"warnings"`

	// Conf is our entry; nil where there are faults.
	Conf *config.Conf `json:"-"`
}

func (v *Validation) fault(format string, args ...any) {
	v.Faults = append(v.Faults, fmt.Sprintf(format, args...))
}

func (v *Validation) warn(format string, args ...any) {
	v.Warnings = append(v.Warnings, fmt.Sprintf(format, args...))
}

// Validate reads a conflist the way libcni does, and goes the way of an ADD as far as that is
// possible without a pod and without the kernel.
func Validate(path string) *Validation {
	v := &Validation{File: path, Faults: []string{}, Warnings: []string{}}
	content, err := os.ReadFile(path)
	if err != nil {
		v.fault("%v", err)
		return v
	}
	if !v.isJSON(content) {
		return v
	}
	list, err := libcni.NetworkConfFromFile(path)
	if err != nil {
		v.fault("%s", strings.TrimPrefix(err.Error(), "error parsing configuration list: "))
		return v
	}
	v.Network = list.Name
	if err := utils.ValidateNetworkName(list.Name); err != nil {
		v.fault("name: %q: %s", list.Name, err.Msg)
	}
	v.versions(content)
	i, err := ourEntry(list)
	if err != nil {
		v.Faults = append(v.Faults, render.Lines(err)...)
		return v
	}
	c, err := parseEntry(list, i)
	v.Faults = append(v.Faults, render.Lines(err)...)
	v.order(list, i, c)
	if c != nil {
		v.capabilities(c, entryPath(i))
		v.programs(c, entryPath(i))
	}
	if len(v.Faults) == 0 {
		v.Conf = c
	}
	return v
}

// isJSON looks for errors of syntax, whose place libcni does not tell.
func (v *Validation) isJSON(content []byte) bool {
	err := json.Unmarshal(content, new(json.RawMessage))
	syntax, broken := errors.AsType[*json.SyntaxError](err)
	if !broken {
		return true
	}
	before := string(content[:syntax.Offset])
	line := strings.Count(before, "\n") + 1
	column := len(before) - strings.LastIndex(before, "\n") - 1
	v.fault("line %d, column %d: %v", line, column, err)
	return false
}

// pluginVersions are those of CNI that the plugin takes, see its main.go.
var pluginVersions = cniversion.VersionsStartingFrom("0.3.0").SupportedVersions()

// versions looks at what runtimes choose the version of CNI from: old ones take cniVersion
// alone, those since libcni 1.2 the highest that they know of both fields.
func (v *Validation) versions(content []byte) {
	var given struct {
		CNIVersion  string   `json:"cniVersion"`
		CNIVersions []string `json:"cniVersions"`
	}
	if json.Unmarshal(content, &given) != nil {
		return // libcni has taken what it needs
	}
	takes := strings.Join(pluginVersions, ", ")
	known := func(version string) bool { return slices.Contains(pluginVersions, version) }
	for i, version := range given.CNIVersions {
		if !known(version) {
			v.warn("cniVersions[%d]: %s takes %s, and not %q", i, PluginType, takes, version)
		}
	}
	switch version := given.CNIVersion; {
	case version == "" && len(given.CNIVersions) == 0:
		v.fault(`cniVersion: it is missing; write "cniVersion": "1.0.0"`)
	case version == "":
		v.warn(`cniVersion: it is missing, and runtimes before libcni 1.2 read that alone; write "cniVersion": "1.0.0"`)
	case !known(version) && !slices.ContainsFunc(given.CNIVersions, known):
		v.fault(`cniVersion: %q; %s takes %s`, version, PluginType, takes)
	case !known(version):
		v.warn(`cniVersion: %q, and runtimes before libcni 1.2 read that alone; %s takes %s`, version, PluginType, takes)
	case version == "1.1.0":
		v.warn(`cniVersion: runtimes before libcni 1.2, such as containerd 1.6, refuse "1.1.0"; write "cniVersion": "1.0.0" and leave 1.1.0 to cniVersions`)
	}
	if given.CNIVersion != "1.1.0" && !slices.Contains(given.CNIVersions, "1.1.0") {
		v.warn(`cniVersions: without "1.1.0" in it runtimes call neither STATUS nor GC for this network`)
	}
}

// Plugins of the CNI project and others that make no interface for the pod, and those that
// make one which is no end of a veth pair.
var (
	chainedPlugins = []string{"bandwidth", "firewall", "istio-cni", "linkerd-cni", "portmap", "sbr", "tuning", "vrf"}
	vethlessMakers = []string{"dummy", "host-device", "ipvlan", "macvlan", "sriov", "tap", "vlan"}
)

// order looks at our place among the network's plugins.
func (v *Validation) order(list *libcni.NetworkConfigList, i int, c *config.Conf) {
	maker := ""
	for _, plugin := range list.Plugins[:i] {
		if !slices.Contains(chainedPlugins, plugin.Network.Type) {
			maker = plugin.Network.Type
		}
	}
	switch {
	case maker == "":
		v.fault("%s: no plugin before it makes an interface for the pod; put it behind the one that does, such as bridge or ptp", entryPath(i))
	case c != nil && slices.Contains(vethlessMakers, maker):
		for n, p := range c.Programs {
			side := c.Side
			if p.Side != nil {
				side = *p.Side
			}
			if side == config.HostSide {
				v.fault("%s.programs[%d]: side host is the other end of a veth pair, and %s makes none; use side pod", entryPath(i), n, maker)
			}
		}
	}
}

func (v *Validation) capabilities(c *config.Conf, at string) {
	switch asks := c.HasAnnotationsCapability(); {
	case c.Annotations != nil && !asks:
		v.warn("%s: runtimes will hand over no annotations: it lacks \"capabilities\": {%q: true}", at, config.AnnotationsCapability)
	case c.Annotations == nil && asks:
		v.warn("%s: it asks runtimes for annotations and ignores them: it lacks the field \"annotations\"", at)
	}
}

// programs opens the objects and settles each program, of the network and of those that
// pods may ask for, alone first: one that is at fault hides no other.
func (v *Validation) programs(c *config.Conf, at string) {
	programs, err := catalog.Open(c.CatalogDir)
	if err != nil {
		v.Faults = append(v.Faults, render.Lines(err)...)
		return
	}
	v.Faults = append(v.Faults, render.Lines(programs.Check())...)
	whole := resolve.AttachmentOf(c)
	whole.Catalog = programs
	sound := true
	alone := func(path string, p config.Program) {
		a := whole
		a.Programs = []config.Program{p}
		if _, err := node.Preview(a); err != nil {
			v.fault("%s: %v", path, err)
			sound = false
		}
	}
	for i, p := range c.Programs {
		alone(fmt.Sprintf("%s.programs[%d]", at, i), p)
	}
	if !sound {
		return
	}
	if _, err := node.Preview(whole); err != nil {
		v.fault("%s.programs: %v", at, err)
		return
	}
	v.allowed(c, at, alone)
}

// allowed tries what pods may ask for, each program at the end of the band: first whether
// it can be used, and then whether anything keeps a pod from having it.
func (v *Validation) allowed(c *config.Conf, at string, alone func(string, config.Program)) {
	if c.Annotations == nil {
		return
	}
	for i, name := range c.Annotations.Allow {
		path := fmt.Sprintf("%s.annotations.allow[%d]", at, i)
		last := c.Annotations.Priorities.Max
		faults := len(v.Faults)
		alone(path, config.Program{Name: name, Priority: &last, Band: &c.Annotations.Priorities})
		if len(v.Faults) > faults {
			continue
		}
		annotation, err := json.Marshal([]map[string]any{{"name": name, "priority": last}})
		if err == nil {
			_, err = Preview(c, string(annotation))
		}
		if errors.Is(err, config.ErrPolicy) {
			v.warn("%s: a pod that asks for it is refused: %s", path, strings.TrimPrefix(err.Error(), config.ErrPolicy.Error()+": "))
		} else if err != nil {
			v.fault("%s: %v", path, err)
		}
	}
}

// Preview goes the way of an ADD up to where that would touch something, and returns the
// chains of a pod with an annotation, which may be empty.
func Preview(c *config.Conf, annotation string) ([]node.PlannedChain, error) {
	a, err := resolve.AttachmentFor(c, map[string]string{catalog.Annotation: annotation})
	if err != nil {
		return nil, err
	}
	return node.Preview(a)
}
