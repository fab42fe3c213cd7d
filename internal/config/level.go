// SPDX-License-Identifier: Apache-2.0

package config

import (
	"fmt"
	"log/slog"
)

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
