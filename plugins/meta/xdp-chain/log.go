// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/xdp-chain/xdp-chain/internal/config"
)

// openLog returns the log that a configuration asks for, and what to call when
// the verb is over. With a logFile, each verb is one JSON line in it; without,
// only warnings and errors are told, on stderr, which runtimes put into their own
// log. The configuration is read leniently, for a broken one is to be logged too.
//
// The file is opened for every verb, so that it can be rotated by renaming, and
// for appending, so that lines of concurrent verbs do not mix. One that cannot
// be opened, or is no regular file, is said on stderr and replaced by it.
func openLog(stdin []byte, stderr io.Writer) (log *slog.Logger, done func()) {
	var wanted struct {
		LogFile  string `json:"logFile"`
		LogLevel string `json:"logLevel"`
	}
	// An error leaves what could be read; ADD and STATUS report it.
	_ = json.Unmarshal(stdin, &wanted)
	var level config.Level
	_ = level.UnmarshalText([]byte(wanted.LogLevel))
	toStderr := slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: max(level.Level(), slog.LevelWarn)}))
	// What a relative path is relative to is the runtime's secret; ADD refuses it.
	if !filepath.IsAbs(wanted.LogFile) {
		return toStderr, func() {}
	}
	file, err := openLogFile(wanted.LogFile)
	if err != nil {
		toStderr.Warn("logging to stderr, since logFile cannot be opened", "error", err)
		return toStderr, func() {}
	}
	handler := slog.NewJSONHandler(file, &slog.HandlerOptions{Level: level.Level()})
	return slog.New(handler), func() { _ = file.Close() }
}

// openLogFile opens a regular file for appending, and makes it where it is
// missing. Anything else could keep the verb waiting, DEL included: a FIFO until
// somebody reads from it, already as it is opened but for O_NONBLOCK.
func openLogFile(path string) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY|unix.O_NONBLOCK, 0o600)
	if err != nil {
		return nil, err
	}
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is not a regular file", path)
	}
	if err != nil {
		_ = file.Close()
		return nil, err
	}
	return file, nil
}
