// SPDX-License-Identifier: Apache-2.0

package config

import (
	"fmt"
	"log/slog"

	"github.com/xdp-chain/xdp-chain/internal/enum"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
)

// Side says on which end of a pod's veth pair a chain sits. The zero value is PodSide.
type Side uint8

// The values of Side.
const (
	// PodSide is the pod's interface (CNI_IFNAME): the chain sees what goes to the pod.
	PodSide Side = iota
	// HostSide is its peer on the host: the chain sees what the pod sends.
	HostSide
)

var sideNames = enum.Names[Side]{What: "side", Invalid: chain.ErrInvalid, List: []string{"pod", "host"}}

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

// Scope says which pods share a member's map. The zero value is ScopeDefault.
type Scope uint8

// The values of Scope.
const (
	// ScopeDefault lets the object decide: node for maps declared LIBBPF_PIN_BY_NAME, otherwise pod.
	ScopeDefault Scope = iota
	// ScopePod is one map for each chain.
	ScopePod
	// ScopeNode is one map for all pods of a network.
	ScopeNode
)

var scopeNames = enum.Names[Scope]{What: "scope", Invalid: chain.ErrInvalid, List: []string{"", "pod", "node"}}

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
