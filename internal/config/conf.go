// SPDX-License-Identifier: Apache-2.0

package config

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/xdp-chain/xdp-chain/internal/strict"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
)

// DefaultCatalogDir is the folder of catalog files where a configuration names no other.
const DefaultCatalogDir = "/etc/xdp-chain/programs.d"

// Conf is the plugin's entry in a network configuration list. A field that is null
// counts as absent.
type Conf struct {
	CNI

	Side          Side                `json:"side"`
	Mode          chain.Mode          `json:"mode"`
	Dispatcher    chain.Dispatcher    `json:"dispatcher"`
	LibxdpVersion chain.LibxdpVersion `json:"libxdpVersion"`
	Attach        chain.Attach        `json:"attach"`
	Counters      bool                `json:"counters"`
	PeerNapi      PeerNapi            `json:"peerNapi"`
	Programs      []Program           `json:"programs"`
	// CatalogDir is the absolute path of the folder with the catalog's files.
	CatalogDir string `json:"catalogDir"`
	// Annotations is what the annotations of pods may ask for; nil: they are ignored.
	Annotations *Policy    `json:"annotations"`
	Namespaces  Namespaces `json:"namespaces"`
	LogFile     string     `json:"logFile"`
	LogLevel    Level      `json:"logLevel"`
}

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
