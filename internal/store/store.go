// SPDX-License-Identifier: Apache-2.0

// Package store keeps object files by their content, so that a chain can be built
// again after its file has changed.
package store

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"github.com/google/renameio/v2"
	"golang.org/x/sys/unix"

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
	err = s.locked(shared, func() error {
		if there = s.holds(a); !there {
			return nil
		}
		now := time.Now()
		return os.Chtimes(s.blobPath(a.layer.Digest), now, now)
	})
	if err != nil || there {
		return err
	}
	return s.locked(exclusive, func() error { return s.add(a) })
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
		index = emptyIndex()
		if err := s.writeIndex(index); err != nil {
			return err
		}
	}
	// Last of the layout's own files: it is what makes the folder a layout.
	if err := s.writeUnlessSame(s.path(layoutFile), []byte(layoutContent)); err != nil {
		return err
	}
	for _, b := range a.blobs() {
		if err := s.writeUnlessSame(s.blobPath(b.Digest), b.content); err != nil {
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

func (s Store) writeUnlessSame(path string, content []byte) error {
	if same(path, content) {
		return nil
	}
	return s.write(path, content)
}

// write replaces a file. Dying in it leaves the old file, and perhaps a temporary
// one in the layout's own folder, where Prune finds it; among the blobs it would
// break the layout.
func (s Store) write(path string, content []byte) error {
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
	content, err := readBounded(f)
	if err != nil {
		return nil, err
	}
	if actual := digestOf(content); actual != d {
		return nil, fmt.Errorf("the stored file is damaged: its content has digest %s; the next ADD that brings the object repairs it", actual)
	}
	return object.New(s.blobPath(d), content)
}

// readBounded stops reading where f turns out to have more than object.MaxSize.
func readBounded(f io.Reader) ([]byte, error) {
	content, err := io.ReadAll(io.LimitReader(f, object.MaxSize+1))
	if err != nil {
		return nil, err
	}
	if len(content) > object.MaxSize {
		return nil, fmt.Errorf("more than the %d bytes that are allowed", object.MaxSize)
	}
	return content, nil
}

// The kinds of lock.
const (
	shared    = unix.LOCK_SH
	exclusive = unix.LOCK_EX
)

const (
	// lockPatience is how long to wait for a store's lock. Who holds it writes a
	// few small files, so longer means that it hangs.
	lockPatience = 5 * time.Second
	lockInterval = 5 * time.Millisecond
)

// locked calls f under a lock on the layout's folder itself, so that there is no
// lock file to leave behind. The kernel frees the lock of a process that dies.
func (s Store) locked(kind int, f func() error) error {
	dir, err := os.Open(s.Dir)
	if err != nil {
		return err
	}
	defer dir.Close() // and with it the lock
	for start := time.Now(); ; time.Sleep(lockInterval) {
		err := unix.Flock(int(dir.Fd()), kind|unix.LOCK_NB)
		switch {
		case err == nil:
			return f()
		case errors.Is(err, unix.EINTR):
		case !errors.Is(err, unix.EWOULDBLOCK):
			return fmt.Errorf("locking %s: %w", s.Dir, err)
		case time.Since(start) > lockPatience:
			return fmt.Errorf("%w by another process for more than %v; lsof %s tells who it is", ErrLocked, lockPatience, s.Dir)
		}
	}
}
