// SPDX-License-Identifier: Apache-2.0

// Package store keeps object files by their content, so that a chain can be built
// again after its file has changed.
package store

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/google/renameio/v2"

	"github.com/xdp-chain/xdp-chain/internal/files"
	"github.com/xdp-chain/xdp-chain/internal/flock"
	"github.com/xdp-chain/xdp-chain/pkg/object"
)

// DefaultDir is where a node keeps its members' objects.
const DefaultDir = "/var/lib/xdp-chain/store"

// ErrLocked says that another process held the lock of a [Store] for too long.
var ErrLocked = errors.New("the store is locked")

// Store keeps objects by content in a folder that is an OCI image layout (OCI
// image specification 1.1, image-layout.md): for each object a manifest of type
// [ArtifactType] with the ELF file as its one layer. Other artifacts in the layout
// are left alone. The folders are 0700, the files 0600. Several processes may use
// a store at once.
//
// Files are replaced by rename after their content has been synced to the disk,
// and what is pointed at is written before what points at it. So the layout is
// valid after a crash at any point, of the machine too, except that a power cut on
// a file system that reorders renames of different folders may leave an entry
// without its blob. The next Put of the object mends that.
type Store struct {
	// Dir is the layout's folder, made where it is missing.
	Dir string
}

// Put keeps an object, or notices that it is there. What is there but damaged it
// writes anew.
func (s Store) Put(o *object.Object) error {
	if err := s.put(o); err != nil {
		return fmt.Errorf("keeping object %s in %s: %w", o.Origin, s.Dir, err)
	}
	return nil
}

func (s Store) put(o *object.Object) error {
	a, err := artifactOf(o)
	if err != nil {
		return err
	}
	// Dying after this leaves an empty folder, which the next Put fills.
	if err := os.MkdirAll(s.path(blobsDir, "sha256"), 0o700); err != nil {
		return err
	}
	// The way of nearly every Put, which others can go at the same time. It makes the
	// object young again, so that Prune lets it be until somebody has had the time to
	// record that it is used.
	there := false
	err = s.locked(flock.Shared, func() error {
		if there = s.holds(a); !there {
			return nil
		}
		now := time.Now()
		return os.Chtimes(s.blobPath(a.layer.Digest), now, now)
	})
	if err != nil || there {
		return err
	}
	return s.locked(flock.Exclusive, func() error { return s.add(a) })
}

// holds reports whether the layout has the whole artifact, undamaged.
func (s Store) holds(a *artifact) bool {
	index, err := s.readIndex()
	if err != nil || !indexed(index, a.manifest.Digest) {
		return false
	}
	if !same(s.path(layoutFile), []byte(layoutContent)) {
		return false
	}
	for _, b := range a.blobs() {
		if !same(s.blobPath(b.Digest), b.content) {
			return false
		}
	}
	return true
}

// add writes what is missing or damaged. Dying after any of these steps leaves a
// valid layout, perhaps with blobs that nothing points at; Prune removes those.
func (s Store) add(a *artifact) error {
	index, err := s.readIndex()
	if err != nil {
		// Missing, or not to be read: objects are found without it, and every other
		// one comes back with its own next Put.
		index = &imageIndex{SchemaVersion: 2, MediaType: mediaTypeIndex, Manifests: []descriptor{}}
		if err := s.writeIndex(index); err != nil {
			return err
		}
	}
	// Last of the layout's own files: it is what makes the folder a layout.
	if err := s.write(s.path(layoutFile), []byte(layoutContent)); err != nil {
		return err
	}
	for _, b := range a.blobs() {
		if err := s.write(s.blobPath(b.Digest), b.content); err != nil {
			return err
		}
	}
	if indexed(index, a.manifest.Digest) {
		return nil
	}
	index.Manifests = append(index.Manifests, a.manifest.descriptor)
	return s.writeIndex(index)
}

func same(path string, content []byte) bool {
	info, err := os.Stat(path)
	if err != nil || info.Size() != int64(len(content)) {
		return false
	}
	found, err := os.ReadFile(path)
	return err == nil && bytes.Equal(found, content)
}

// write replaces a file that does not have that content. Dying in it leaves the old
// file, and perhaps a temporary one in the layout's own folder, where Prune finds it;
// among the blobs it would break the layout.
func (s Store) write(path string, content []byte) error {
	if same(path, content) {
		return nil
	}
	return renameio.WriteFile(path, content, 0o600, renameio.WithTempDir(s.Dir))
}

// Get returns the object of a digest ("sha256:…"), after checking that its content
// is what the digest says. Errors satisfy errors.Is(err, [object.ErrUnusable]), and
// fs.ErrNotExist where the store does not have the object.
func (s Store) Get(objectDigest string) (*object.Object, error) {
	o, err := s.get(digest(objectDigest))
	if err != nil {
		return nil, object.Unusable(fmt.Errorf("object %q of store %s: %w", objectDigest, s.Dir, err))
	}
	return o, nil
}

func (s Store) get(d digest) (*object.Object, error) {
	if err := d.check(); err != nil {
		return nil, err
	}
	f, err := os.Open(s.blobPath(d))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("the store does not have it: %w", err)
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	content, err := files.ReadAtMost(f, object.MaxSize)
	if err != nil {
		return nil, err
	}
	if actual := digest(object.DigestOf(content)); actual != d {
		return nil, fmt.Errorf("the stored file is damaged: its content has digest %s; the next ADD that brings the object repairs it", actual)
	}
	return object.New(s.blobPath(d), content)
}

// Prune removes the objects whose digest is not in keep and that nobody has Put
// for minAge, which must be longer than it takes from a Put to the record that
// names the object. It also removes what killed processes left behind for as long.
// A store that does not exist has nothing to prune.
func (s Store) Prune(keep map[string]bool, minAge time.Duration) error {
	if _, err := os.Stat(s.Dir); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	err := s.locked(flock.Exclusive, func() error { return s.prune(keep, time.Now().Add(-minAge)) })
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
	err := s.locked(flock.Shared, func() error {
		before := time.Now().Add(-minAge)
		index, err := s.readIndex()
		if err != nil {
			return err
		}
		paths, err = s.unused(s.keptEntries(index, keep, before), keep, before)
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
	paths, err := s.unused(kept, keep, before)
	errs := []error{err}
	for _, path := range paths {
		if err := os.Remove(path); !errors.Is(err, fs.ErrNotExist) { // gone already is fine
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// keptEntries returns the entries of an index that a prune leaves in it.
func (s Store) keptEntries(index *imageIndex, keep map[string]bool, before time.Time) []descriptor {
	return slices.DeleteFunc(slices.Clone(index.Manifests), func(entry descriptor) bool {
		object, ours := objectOf(entry)
		return ours && !keep[object] && olderOrGone(s.blobPath(digest(object)), before)
	})
}

// unused finds old blobs that no entry leads to, and the files of writes that never
// ended, which begin with a dot (see write). What it finds beside an error is unused, too.
func (s Store) unused(entries []descriptor, keep map[string]bool, before time.Time) ([]string, error) {
	temporary, err := oldFiles(s.Dir, before, func(name string) bool { return strings.HasPrefix(name, ".") })
	used := map[digest]bool{emptyConfig.Digest: true}
	if reachErr := s.reach(used, entries); reachErr != nil {
		return temporary, errors.Join(reachErr, err)
	}
	blobs, blobsErr := oldFiles(s.path(blobsDir, "sha256"), before, func(name string) bool {
		return !used[digest(digestPrefix+name)] && !keep[digestPrefix+name]
	})
	return append(blobs, temporary...), errors.Join(blobsErr, err)
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

// oldFiles returns the paths of a folder's old files that have one of the names.
func oldFiles(folder string, before time.Time, named func(string) bool) ([]string, error) {
	entries, err := os.ReadDir(folder)
	var paths []string
	for _, entry := range entries {
		if path := filepath.Join(folder, entry.Name()); named(entry.Name()) && olderOrGone(path, before) {
			paths = append(paths, path)
		}
	}
	return paths, err
}

func olderOrGone(path string, before time.Time) bool {
	info, err := os.Lstat(path)
	return err != nil || info.ModTime().Before(before)
}

// lockPatience is how long to wait for a store's lock. Who holds it writes a few small
// files, so longer means that it hangs.
const lockPatience = 5 * time.Second

// locked calls f under a lock on the layout's folder itself, so that there is no
// lock file to leave behind. The kernel frees the lock of a process that dies.
func (s Store) locked(kind flock.Kind, f func() error) error {
	dir, err := os.Open(s.Dir)
	if err != nil {
		return err
	}
	defer dir.Close() // and with it the lock
	ctx, cancel := context.WithTimeout(context.Background(), lockPatience)
	defer cancel()
	err = flock.Wait(ctx, dir, kind)
	if errors.As(err, new(*flock.TakenError)) {
		return fmt.Errorf("%w by another process for more than %v; lsof %s tells who it is", ErrLocked, lockPatience, s.Dir)
	}
	if err != nil {
		return fmt.Errorf("locking %s: %w", s.Dir, err)
	}
	return f()
}
