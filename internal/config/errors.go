// SPDX-License-Identifier: Apache-2.0

package config

import (
	"errors"

	"github.com/xdp-chain/xdp-chain/internal/strict"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
)

// ErrNotJSON is behind the error about a configuration that is no JSON document.
var ErrNotJSON = errors.New("the network configuration is not JSON")

// invalid is what is wrong with a configuration, a sentence a line, each beginning
// with the path of the field that it is about.
type invalid struct{ strict.Faults }

// Unwrap makes it satisfy errors.Is(err, [chain.ErrInvalid]).
func (e invalid) Unwrap() error { return chain.ErrInvalid }
