// SPDX-License-Identifier: Apache-2.0

package record

import (
	"errors"
	"fmt"
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

// errReplaced says that a file which was found broken is not there any more, and
// another one is.
var errReplaced = errors.New("replaced since it was read")

// setAside moves the file at path, whose content the caller read from f and found
// wrong, to broken, and returns a *BrokenError. Readers hold no lock: if somebody
// else has moved the file meanwhile the error satisfies errors.Is(err,
// [fs.ErrNotExist]), and if somebody has replaced it, it is errReplaced.
//
// A process that dies right after the move has set the file aside without a word;
// it is there to be found.
func (d Dir) setAside(path string, f *os.File, wrong error) error {
	if err := os.MkdirAll(d.broken(), folderMode); err != nil {
		return &BrokenError{Path: path, Err: errors.Join(wrong, err)}
	}
	aside := filepath.Join(d.broken(), time.Now().UTC().Format(brokenTime)+filepath.Base(path))
	switch err := os.Rename(path, aside); {
	case errors.Is(err, fs.ErrNotExist):
		return err
	case err != nil:
		return &BrokenError{Path: path, Err: errors.Join(wrong, err)}
	}
	replaced, err := putBackOther(path, aside, f)
	if replaced && err == nil {
		return errReplaced
	}
	if err = errors.Join(err, d.boundBroken()); err != nil {
		wrong = errors.Join(wrong, err)
	}
	return &BrokenError{Path: path, SetAside: aside, Err: wrong}
}

// putBackOther puts back what was moved to aside if it is not the file that f has
// open, and tells whether it is not.
func putBackOther(path, aside string, f *os.File) (other bool, err error) {
	read, err := f.Stat()
	if err != nil {
		return false, err
	}
	moved, err := os.Stat(aside)
	if err != nil || os.SameFile(read, moved) {
		return false, err
	}
	// A link, unlike a rename, does not replace what was written since.
	if err := os.Link(aside, path); err != nil && !errors.Is(err, fs.ErrExist) {
		return true, err
	}
	return true, os.Remove(aside)
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

// Broken returns the files that were set aside, the oldest first.
func (d Dir) Broken() ([]string, error) {
	names, err := listFiles(d.broken())
	if err != nil {
		return nil, fmt.Errorf("list the files that were set aside: %w", err)
	}
	for i, name := range names {
		names[i] = filepath.Join(d.broken(), name)
	}
	return names, nil
}
