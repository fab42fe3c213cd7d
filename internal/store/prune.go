// SPDX-License-Identifier: Apache-2.0

package store

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

// Unused returns what [Store.Prune] would remove: the paths of blobs and of abandoned
// files. It changes nothing.
func (s Store) Unused(keep map[string]bool, minAge time.Duration) ([]string, error) {
	if _, err := os.Stat(s.Dir); errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var paths []string
	err := s.locked(shared, func() error {
		before := time.Now().Add(-minAge)
		index, err := s.readIndex()
		if err != nil {
			return err
		}
		blobs, err := s.unusedBlobs(s.keptEntries(index, keep, before), keep, before)
		if err != nil {
			return err
		}
		temporary, err := s.temporary(before)
		paths = append(blobs, temporary...)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("looking through store %s: %w", s.Dir, err)
	}
	return paths, nil
}

// prune takes entries out of the index first, then their blobs: dying in between
// leaves blobs that nothing points at, which the next prune removes.
func (s Store) prune(keep map[string]bool, before time.Time) error {
	index, err := s.readIndex()
	if err != nil {
		return err // without it nothing is known to be unused
	}
	kept := s.keptEntries(index, keep, before)
	if len(kept) < len(index.Manifests) {
		index.Manifests = kept
		if err := s.writeIndex(index); err != nil {
			return err
		}
	}
	blobs, err := s.unusedBlobs(kept, keep, before)
	return errors.Join(err, removeAll(blobs), s.removeTemporary(before))
}

// keptEntries returns the entries of an index that a prune leaves in it.
func (s Store) keptEntries(index *index, keep map[string]bool, before time.Time) []descriptor {
	kept := make([]descriptor, 0, len(index.Manifests))
	for _, entry := range index.Manifests {
		object, ours := objectOf(entry)
		if !ours || keep[object] || !olderOrGone(s.blobPath(digest(object)), before) {
			kept = append(kept, entry)
		}
	}
	return kept
}

// unusedBlobs finds old blobs that no entry leads to.
func (s Store) unusedBlobs(entries []descriptor, keep map[string]bool, before time.Time) ([]string, error) {
	used := map[digest]bool{emptyConfig.Digest: true}
	if err := s.reach(used, entries); err != nil {
		return nil, err
	}
	folder := s.path(blobsDir, "sha256")
	files, err := os.ReadDir(folder)
	if err != nil {
		return nil, err
	}
	var paths []string
	for _, file := range files {
		d := digest(digestPrefix + file.Name())
		if path := filepath.Join(folder, file.Name()); !used[d] && !keep[string(d)] && olderOrGone(path, before) {
			paths = append(paths, path)
		}
	}
	return paths, nil
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

// removeTemporary removes the files of writes that never ended.
func (s Store) removeTemporary(before time.Time) error {
	paths, err := s.temporary(before)
	return errors.Join(err, removeAll(paths))
}

// temporary finds the files of writes that never ended, which begin with a dot (see
// write).
func (s Store) temporary(before time.Time) ([]string, error) {
	files, err := os.ReadDir(s.Dir)
	if err != nil {
		return nil, err
	}
	var paths []string
	for _, file := range files {
		if path := s.path(file.Name()); strings.HasPrefix(file.Name(), ".") && olderOrGone(path, before) {
			paths = append(paths, path)
		}
	}
	return paths, nil
}

func olderOrGone(path string, before time.Time) bool {
	info, err := os.Lstat(path)
	return err != nil || info.ModTime().Before(before)
}

// removeAll removes files; those that are gone already are fine.
func removeAll(paths []string) error {
	var errs []error
	for _, path := range paths {
		if err := os.Remove(path); !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
