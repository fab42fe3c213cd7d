// SPDX-License-Identifier: Apache-2.0

// Package files lists folders and reads files whose size is bounded.
package files

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// Names returns the names in a folder, sorted. A folder that is not there is empty.
func Names(folder string) ([]string, error) {
	entries, err := os.ReadDir(folder)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	names := make([]string, len(entries))
	for i, entry := range entries {
		names[i] = entry.Name()
	}
	return names, nil
}

// ReadAtMost reads all of r, and stops where that turns out to have more than limit bytes,
// which is an error. The size that a file says it has is no bound: a file may grow, and those
// of procfs say 0.
func ReadAtMost(r io.Reader, limit int64) ([]byte, error) {
	content, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(content)) > limit {
		return nil, fmt.Errorf("more than the %d bytes that are allowed", limit)
	}
	return content, nil
}
