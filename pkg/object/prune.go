// SPDX-License-Identifier: Apache-2.0

package object

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Prune removes the objects whose digest is not in keep and that nobody has Put
// for minAge, which must be longer than it takes from a Put to the record that
// names the object. It also removes what killed processes left behind for as long.
// A store that does not exist has nothing to prune.
func (s Store) Prune(keep map[string]bool, minAge time.Duration) error {
	if _, err := os.Stat(s.Dir); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	err := s.locked(exclusive, func() error { return s.prune(keep, time.Now().Add(-minAge)) })
	if err != nil {
		return fmt.Errorf("pruning store %s: %w", s.Dir, err)
	}
	return nil
}

// prune takes entries out of the index first, then their blobs: dying in between
// leaves blobs that nothing points at, which the next prune removes.
func (s Store) prune(keep map[string]bool, before time.Time) error {
	index, err := s.readIndex()
	if err != nil {
		return err // without it nothing is known to be unused
	}
	kept := make([]descriptor, 0, len(index.Manifests))
	for _, entry := range index.Manifests {
		object, ours := objectOf(entry)
		if !ours || keep[object] || !olderOrGone(s.blobPath(digest(object)), before) {
			kept = append(kept, entry)
		}
	}
	if len(kept) < len(index.Manifests) {
		index.Manifests = kept
		if err := s.writeIndex(index); err != nil {
			return err
		}
	}
	return errors.Join(s.removeBlobs(kept, keep, before), s.removeTemporary(before))
}

// removeBlobs removes old blobs that nothing points at.
func (s Store) removeBlobs(entries []descriptor, keep map[string]bool, before time.Time) error {
	used := map[digest]bool{emptyConfig.Digest: true}
	if err := s.reach(used, entries); err != nil {
		return err
	}
	folder := s.path(blobsDir, "sha256")
	files, err := os.ReadDir(folder)
	if err != nil {
		return err
	}
	var errs []error
	for _, file := range files {
		d := digest(digestPrefix + file.Name())
		if path := filepath.Join(folder, file.Name()); !used[d] && !keep[string(d)] && olderOrGone(path, before) {
			errs = append(errs, remove(path))
		}
	}
	return errors.Join(errs...)
}

// reach adds to used the blobs that entries of an index lead to. A foreign entry
// that cannot be followed is an error: what it leads to would look unused.
func (s Store) reach(used map[digest]bool, entries []descriptor) error {
	for _, entry := range entries {
		if used[entry.Digest] {
			continue
		}
		used[entry.Digest] = true
		if object, ours := objectOf(entry); ours {
			used[digest(object)] = true
			continue
		}
		if err := entry.Digest.check(); err != nil {
			return fmt.Errorf("entry %q: %w", entry.Digest, err)
		}
		content, err := os.ReadFile(s.blobPath(entry.Digest))
		if err != nil {
			return err
		}
		// An image manifest has config and layers, an index has manifests.
		var node struct {
			Config            descriptor
			Layers, Manifests []descriptor
		}
		if err := json.Unmarshal(content, &node); err != nil {
			return fmt.Errorf("manifest %s: %w", entry.Digest, err)
		}
		used[node.Config.Digest] = true
		for _, layer := range node.Layers {
			used[layer.Digest] = true
		}
		if err := s.reach(used, node.Manifests); err != nil {
			return err
		}
	}
	return nil
}

// removeTemporary removes the files of writes that never ended, which begin with a
// dot (see write).
func (s Store) removeTemporary(before time.Time) error {
	files, err := os.ReadDir(s.Dir)
	if err != nil {
		return err
	}
	var errs []error
	for _, file := range files {
		if path := s.path(file.Name()); strings.HasPrefix(file.Name(), ".") && olderOrGone(path, before) {
			errs = append(errs, remove(path))
		}
	}
	return errors.Join(errs...)
}

func olderOrGone(path string, before time.Time) bool {
	info, err := os.Lstat(path)
	return err != nil || info.ModTime().Before(before)
}

func remove(path string) error {
	if err := os.Remove(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
