// SPDX-License-Identifier: Apache-2.0

package record

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// MaxBroken is how many files that were set aside are kept. They are on a tmpfs,
// and whatever breaks files may break many.
const MaxBroken = 64

// brokenTime is how the names of files that were set aside begin, so that they
// sort by age.
const brokenTime = "20060102T150405.000000000Z-"

func (d Dir) broken() string { return filepath.Join(d.Root, "broken") }

// setAside moves the file at path, whose content the caller read from f and found
// wrong, to broken. It returns a *BrokenError, or nil with fs.ErrNotExist when
// somebody else has moved it already.
//
// A process that dies right after the move has set the file aside without a word;
// it is there to be found.
func (d Dir) setAside(path string, f *os.File, wrong error) error {
	broken := &BrokenError{Path: path, Err: wrong}
	if err := os.MkdirAll(d.broken(), folderMode); err != nil {
		broken.Err = errors.Join(wrong, err)
		return broken
	}
	aside := filepath.Join(d.broken(), time.Now().UTC().Format(brokenTime)+filepath.Base(path))
	if err := os.Rename(path, aside); err != nil {
		broken.Err = errors.Join(wrong, err)
		return broken
	}
	broken.SetAside = aside
	if err := errors.Join(putBackOther(path, aside, f), d.boundBroken()); err != nil {
		broken.Err = errors.Join(wrong, err)
	}
	return broken
}

// putBackOther puts back what was moved to aside if it is not the file that f has
// open: readers hold no lock, so a writer may have replaced the broken file since
// it was read.
func putBackOther(path, aside string, f *os.File) error {
	read, err := f.Stat()
	if err != nil {
		return err
	}
	moved, err := os.Stat(aside)
	if err != nil || os.SameFile(read, moved) {
		return err
	}
	// A link, unlike a rename, does not replace what was written since.
	if err := os.Link(aside, path); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return os.Remove(aside)
}

// boundBroken removes the oldest of the files set aside that are too many.
func (d Dir) boundBroken() error {
	names, err := listFiles(d.broken()) // sorted by name, so by age
	if err != nil {
		return err
	}
	for len(names) > MaxBroken {
		if err := os.Remove(filepath.Join(d.broken(), names[0])); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		names = names[1:]
	}
	return nil
}
