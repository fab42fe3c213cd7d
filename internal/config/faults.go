// SPDX-License-Identifier: Apache-2.0

package config

import (
	"fmt"
	"path/filepath"

	"github.com/xdp-chain/xdp-chain/internal/strict"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
)

// faults returns what is wrong with the values of a configuration whose types
// are right.
func (c *Conf) faults() strict.Faults {
	var faults strict.Faults
	fault := func(path, format string, args ...any) {
		faults = append(faults, strict.Faultf(path, format, args...))
	}

	if c.Dispatcher == chain.DispatcherLibxdp && c.Attach == chain.AttachLink {
		fault("attach", `"link" does not go with dispatcher "libxdp", whose protocol is netlink's; use "auto" or "netlink"`)
	}
	if c.Dispatcher == chain.DispatcherLibxdp && c.Mode == chain.ModeOffload {
		fault("mode", `"offload" does not go with dispatcher "libxdp": hardware runs no extension programs; use "auto", "native" or "generic"`)
	}
	if c.LibxdpVersion != chain.LibxdpVersionAuto && c.Dispatcher == chain.DispatcherLinked {
		fault("libxdpVersion", `it says nothing about dispatcher "linked"; leave it out, or use dispatcher "libxdp" or "auto"`)
	}
	if c.LibxdpVersion == chain.LibxdpV1 {
		fault("libxdpVersion", "version 1 is only read, where it is found on an interface; use 2 or 3")
	}
	for i := range c.Programs {
		faults = append(faults, programFaults(fmt.Sprintf("programs[%d]", i), &c.Programs[i])...)
	}
	faults = append(faults, c.nameFaults()...)
	faults = append(faults, c.Namespaces.faults()...)
	if !filepath.IsAbs(c.CatalogDir) {
		fault("catalogDir", "%q is not an absolute path", c.CatalogDir)
	}
	if c.LogFile != "" && !filepath.IsAbs(c.LogFile) {
		fault("logFile", "%q is not an absolute path", c.LogFile)
	}
	return faults
}

// programFaults returns what is wrong with one program, each fault with the
// path of what it is about.
func programFaults(path string, p *Program) strict.Faults {
	if err := chain.CheckName(p.Name); err != nil {
		return strict.Faults{{Path: path + ".name", Text: err.Error()}}
	}
	var faults strict.Faults
	if err := p.Check(); err != nil {
		faults = append(faults, strict.Fault{Path: path, Text: err.Error()})
	}
	for name, settings := range p.Maps {
		for i, entry := range settings.Entries {
			if entry.Key == nil || entry.Value == nil {
				faults = append(faults, strict.Faultf(fmt.Sprintf("%s.maps.%s.entries[%d]", path, name, i), `an entry needs a "key" and a "value"`))
			}
		}
	}
	return faults
}

// nameFaults returns the programs that share a name with an earlier one of the
// same interface.
func (c *Conf) nameFaults() strict.Faults {
	type place struct {
		side Side
		name string
	}
	var faults strict.Faults
	first := make(map[place]int)
	for i, p := range c.Programs {
		at := place{c.Side, p.Name}
		if p.Side != nil {
			at.side = *p.Side
		}
		if earlier, taken := first[at]; taken {
			faults = append(faults, strict.Faultf(fmt.Sprintf("programs[%d].name", i),
				"%q is the name of programs[%d] already; names are unique on an interface (side %s)", p.Name, earlier, at.side))
			continue
		}
		first[at] = i
	}
	return faults
}
