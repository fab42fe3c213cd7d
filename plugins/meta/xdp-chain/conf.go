// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/containernetworking/cni/pkg/types"

	"github.com/xdp-chain/xdp-chain/internal/strict"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
)

// conf is the plugin's entry in a network configuration list, as the runtime
// hands it over on stdin. A field that is null counts as absent.
type conf struct {
	cniFields

	Side          chain.Side          `json:"side"`
	Mode          chain.Mode          `json:"mode"`
	Dispatcher    chain.Dispatcher    `json:"dispatcher"`
	LibxdpVersion chain.LibxdpVersion `json:"libxdpVersion"`
	Attach        chain.Attach        `json:"attach"`
	Counters      bool                `json:"counters"`
	Programs      []chain.Program     `json:"programs"`
	Namespaces    namespaces          `json:"namespaces"`
	LogFile       string              `json:"logFile"`
	LogLevel      level               `json:"logLevel"`
}

// cniFields are the fields that the CNI specification and its runtimes put into
// any plugin's configuration. Those that are kept raw are not ours to judge. A
// field whose name begins with [reservedPrefix] belongs to them as well.
type cniFields struct {
	CNIVersion             string          `json:"cniVersion"`
	CNIVersions            json.RawMessage `json:"cniVersions"`
	Name                   string          `json:"name"`
	Type                   string          `json:"type"`
	Capabilities           json.RawMessage `json:"capabilities"`
	RuntimeConfig          json.RawMessage `json:"runtimeConfig"`
	PrevResult             json.RawMessage `json:"prevResult"`
	Args                   json.RawMessage `json:"args"`
	IPAM                   json.RawMessage `json:"ipam"`
	DNS                    json.RawMessage `json:"dns"`
	IPMasq                 json.RawMessage `json:"ipMasq"`
	DisableCheck           json.RawMessage `json:"disableCheck"`
	DisableGC              json.RawMessage `json:"disableGC"`
	LoadOnlyInlinedPlugins json.RawMessage `json:"loadOnlyInlinedPlugins"`
}

// reservedPrefix begins the names that the CNI specification keeps for what
// runtimes add (CNI 1.1.0, section 1, "Plugin configuration objects").
const reservedPrefix = "cni.dev/"

// refused are the fields of the documented configuration that this version does
// not have. They are refused rather than ignored: a chain without what they ask
// for is not the chain that was asked for.
var refused = map[string]string{
	"annotations": "programs from pod annotations are not in this version of xdp-chain; list them under programs",
	"image":       "programs from OCI images are not in this version of xdp-chain; use object with a file's path, or the name of a built-in",
}

// parseConf reads a configuration strictly. Every error is a [types.Error]:
// code 6 for what is not JSON, code 7 for fields that are unknown, given twice,
// or wrong in type, range or name. The message is about the first fault; further
// ones stand in the details, one a line.
func parseConf(stdin []byte) (*conf, error) {
	c := &conf{Counters: true}
	err := strict.JSON(stdin, c, strict.Options{Document: "the network configuration", Foreign: reservedPrefix, Refused: refused})
	if syntax := (*strict.SyntaxError)(nil); errors.As(err, &syntax) {
		return nil, types.NewError(types.ErrDecodingFailure,
			fmt.Sprintf("the network configuration is not JSON: %v at byte %d", syntax, syntax.Offset), "")
	}
	if err != nil {
		msg, details, _ := strings.Cut(err.Error(), "\n")
		return nil, types.NewError(types.ErrInvalidNetworkConfig, msg, details)
	}
	if faults := c.faults(); len(faults) > 0 {
		return nil, types.NewError(types.ErrInvalidNetworkConfig, faults[0], strings.Join(faults[1:], "\n"))
	}
	return c, nil
}

// faults returns what is wrong with the values of a configuration whose types
// are right.
func (c *conf) faults() []string {
	var faults []string
	fault := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }

	if c.Dispatcher == chain.DispatcherLibxdp && c.Attach == chain.AttachLink {
		fault(`attach: "link" does not go with dispatcher "libxdp", whose protocol is netlink's; use "auto" or "netlink"`)
	}
	if c.Dispatcher == chain.DispatcherLibxdp && c.Mode == chain.ModeOffload {
		fault(`mode: "offload" does not go with dispatcher "libxdp": hardware runs no extension programs; use "auto", "native" or "generic"`)
	}
	if c.LibxdpVersion != chain.LibxdpVersionAuto && c.Dispatcher == chain.DispatcherLinked {
		fault(`libxdpVersion: it says nothing about dispatcher "linked"; leave it out, or use dispatcher "libxdp" or "auto"`)
	}
	if c.LibxdpVersion == chain.LibxdpV1 {
		fault("libxdpVersion: version 1 is only read, where it is found on an interface; use 2 or 3")
	}
	for i := range c.Programs {
		faults = append(faults, programFaults(fmt.Sprintf("programs[%d]", i), &c.Programs[i])...)
	}
	faults = append(faults, c.nameFaults()...)
	faults = append(faults, c.Namespaces.faults()...)
	if c.LogFile != "" && !filepath.IsAbs(c.LogFile) {
		fault("logFile: %q is not an absolute path", c.LogFile)
	}
	return faults
}

// programFaults returns what is wrong with one program, each sentence with the
// path of what it is about.
func programFaults(path string, p *chain.Program) []string {
	if err := chain.CheckName(p.Name); err != nil {
		return []string{fmt.Sprintf("%s.name: %v", path, err)}
	}
	var faults []string
	if err := p.Check(); err != nil {
		faults = append(faults, fmt.Sprintf("%s: %v", path, err))
	}
	for name, settings := range p.Maps {
		for i, entry := range settings.Entries {
			if entry.Key == nil || entry.Value == nil {
				faults = append(faults, fmt.Sprintf(`%s.maps.%s.entries[%d]: an entry needs a "key" and a "value"`, path, name, i))
			}
		}
	}
	return faults
}

// nameFaults returns the programs that share a name with an earlier one of the
// same interface.
func (c *conf) nameFaults() []string {
	type place struct {
		side chain.Side
		name string
	}
	var faults []string
	first := make(map[place]int)
	for i, p := range c.Programs {
		at := place{c.Side, p.Name}
		if p.Side != nil {
			at.side = *p.Side
		}
		if earlier, taken := first[at]; taken {
			faults = append(faults, fmt.Sprintf("programs[%d].name: %q is the name of programs[%d] already; names are unique on an interface (side %s)",
				i, p.Name, earlier, at.side))
			continue
		}
		first[at] = i
	}
	return faults
}
