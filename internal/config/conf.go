// SPDX-License-Identifier: Apache-2.0

package config

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"

	"github.com/xdp-chain/xdp-chain/internal/enum"
	"github.com/xdp-chain/xdp-chain/internal/strict"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
)

// DefaultCatalogDir is the folder of catalog files where a configuration names no other.
const DefaultCatalogDir = "/etc/xdp-chain/programs.d"

// Conf is the plugin's entry in a network configuration list. A field that is null
// counts as absent.
type Conf struct {
	CNI

	Requested
	Side     Side      `json:"side"`
	Counters bool      `json:"counters"`
	Programs []Program `json:"programs"`
	// CatalogDir is the absolute path of the folder with the catalog's files.
	CatalogDir string `json:"catalogDir"`
	// Annotations is what the annotations of pods may ask for; nil: they are ignored.
	Annotations *Policy    `json:"annotations"`
	Namespaces  Namespaces `json:"namespaces"`
	LogFile     string     `json:"logFile"`
	LogLevel    Level      `json:"logLevel"`
}

// Requested is how a chain is asked to be built and held, auto included.
type Requested struct {
	Mode       chain.Mode       `json:"mode"`
	Attach     chain.Attach     `json:"attach"`
	Dispatcher chain.Dispatcher `json:"dispatcher"`
	// LibxdpVersion is for the dispatcher libxdp alone.
	LibxdpVersion chain.LibxdpVersion `json:"libxdpVersion,omitempty"`
	// PeerNapi is auto where members that transmit have the veth's other end poll.
	PeerNapi PeerNapi `json:"peerNapi,omitempty"`
}

// Or returns what is requested, with what other requests in the place of what is auto.
func (r Requested) Or(other Requested) Requested {
	return Requested{
		Mode: cmp.Or(r.Mode, other.Mode), Attach: cmp.Or(r.Attach, other.Attach),
		Dispatcher: cmp.Or(r.Dispatcher, other.Dispatcher), LibxdpVersion: cmp.Or(r.LibxdpVersion, other.LibxdpVersion),
		PeerNapi: cmp.Or(r.PeerNapi, other.PeerNapi),
	}
}

// PeerNapi says whether the other end of a veth pair is made to poll (NAPI) for
// members that send packets back: veth drops what XDP_TX and XDP_REDIRECT send to an
// end that does not (veth_xdp_xmit of drivers/net/veth.c). The zero value is
// PeerNapiAuto.
type PeerNapi uint8

// The values of PeerNapi.
const (
	// PeerNapiAuto is on for chains with a member whose catalog entry says that it
	// transmits.
	PeerNapiAuto PeerNapi = iota
	// PeerNapiOff leaves the other end as it is.
	PeerNapiOff
)

var peerNapiNames = enum.Names[PeerNapi]{What: "peerNapi", Invalid: chain.ErrInvalid, List: []string{"auto", "off"}}

// Level is a logLevel: debug, info (the zero value), warn or error.
type Level slog.Level

var levels = map[string]slog.Level{
	"debug": slog.LevelDebug,
	"info":  slog.LevelInfo,
	"warn":  slog.LevelWarn,
	"error": slog.LevelError,
}

// UnmarshalText takes a level's name; anything else is an error that lists the
// names.
func (l *Level) UnmarshalText(text []byte) error {
	named, ok := levels[string(text)]
	if !ok {
		return fmt.Errorf("level %q; use one of debug, info, warn, error", text)
	}
	*l = Level(named)
	return nil
}

// Level returns the level as package slog counts it.
func (l Level) Level() slog.Level { return slog.Level(l) }

// CNI are the fields that the CNI specification and its runtimes put into
// any plugin's configuration. Those that are kept raw are not ours to judge. A
// field whose name begins with [reservedPrefix] belongs to them as well.
type CNI struct {
	CNIVersion             string          `json:"cniVersion"`
	CNIVersions            json.RawMessage `json:"cniVersions"`
	Name                   string          `json:"name"`
	Type                   string          `json:"type"`
	Capabilities           json.RawMessage `json:"capabilities"`
	RuntimeConfig          RuntimeConfig   `json:"runtimeConfig"`
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

// ErrNotJSON is wrapped by the error about a configuration that is no JSON document.
var ErrNotJSON = errors.New("the network configuration is not JSON")

// invalid is what is wrong with a configuration, a sentence a line, each beginning
// with the path of the field that it is about.
type invalid struct{ strict.Faults }

// Unwrap makes it satisfy errors.Is(err, [chain.ErrInvalid]).
func (e invalid) Unwrap() error { return chain.ErrInvalid }

// refused are the fields of the documented configuration that this version does
// not have. They are refused rather than ignored: a chain without what they ask
// for is not the chain that was asked for.
var refused = map[string]string{
	"image": "programs from OCI images are not in this version of xdp-chain; use object with a file's path, or the name of a built-in",
}

// Parse reads a configuration strictly. What is not JSON is an error that satisfies
// errors.Is(err, [ErrNotJSON]). Fields that are unknown, given twice, or wrong in type,
// range or name are one that satisfies errors.Is(err, [chain.ErrInvalid]): each of them is a
// line of its message, which begins with the field's path, such as programs[1].priority.
func Parse(document []byte) (*Conf, error) {
	c := &Conf{Counters: true, CatalogDir: DefaultCatalogDir}
	err := strict.JSON(document, c, strict.Options{Document: "the network configuration", Foreign: reservedPrefix, Refused: refused, Lists: Lists})
	var faults strict.Faults
	switch syntax := (*strict.SyntaxError)(nil); {
	case errors.As(err, &syntax):
		return nil, fmt.Errorf("%w: %w at byte %d", ErrNotJSON, syntax, syntax.Offset)
	case errors.As(err, &faults):
		return nil, invalid{faults}
	case err != nil:
		return nil, err
	}
	if faults = c.faults(); len(faults) > 0 {
		return nil, invalid{faults}
	}
	return c, nil
}

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
