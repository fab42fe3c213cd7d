// SPDX-License-Identifier: Apache-2.0

package record

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/renameio/v2"
	"golang.org/x/sys/unix"
)

const (
	folderMode fs.FileMode = 0o700
	fileMode   fs.FileMode = 0o600

	// replaceTries and replaceFor bound how often replace makes its folder anew:
	// it gives up when both are reached. Each time but the first somebody else has
	// removed it in the microseconds since, which a crowd on a slow machine can do
	// a hundred times in a row.
	replaceTries = 100
	replaceFor   = 5 * time.Second

	// abandoned is the age from which on nobody can still be writing a file in
	// tmp: runtimes kill plugins sooner.
	abandoned = 10 * time.Minute
)

func (d Dir) tmp() string { return filepath.Join(d.Root, "tmp") }

// read reads a file and has it decoded. A file that does not decode is set aside,
// except where it is of a later version.
func (d Dir) read(path string, decode func(content []byte) error) error {
	for {
		err := d.tryRead(path, decode)
		if !errors.Is(err, errReplaced) {
			return err
		}
	}
}

func (d Dir) tryRead(path string, decode func(content []byte) error) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	content, err := io.ReadAll(f)
	if err != nil {
		return err
	}
	switch err := decode(content); {
	case err == nil:
		return nil
	case errors.Is(err, ErrVersion):
		return fmt.Errorf("%s: %w", path, err)
	case d.untouched:
		return fmt.Errorf("%w: %s: %w", ErrBroken, path, err)
	default:
		return d.setAside(path, f, err)
	}
}

// replace writes a file by rename. It makes the folders that it needs, again when
// remove, in another process, has just found them empty.
//
// A process that dies before the rename leaves a file in tmp, see sweep.
func (d Dir) replace(path string, content []byte) error {
	var err error
	start := time.Now()
	for tries := 0; tries < replaceTries || time.Since(start) < replaceFor; tries++ {
		if err = d.tryReplace(path, content); !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		made := errors.Join(os.MkdirAll(d.tmp(), folderMode), os.MkdirAll(filepath.Dir(path), folderMode))
		// Either error may be of a folder that was removed in between: MkdirAll
		// finds it there, and then looks at it.
		if made != nil && !errors.Is(made, fs.ErrNotExist) && !errors.Is(made, fs.ErrExist) {
			return made
		}
	}
	return fmt.Errorf("write %s: its folder is removed again and again: %w", path, err)
}

func (d Dir) tryReplace(path string, content []byte) error {
	f, err := renameio.NewPendingFile(path, renameio.WithTempDir(d.tmp()), renameio.WithStaticPermissions(fileMode))
	if err != nil {
		return err
	}
	defer f.Cleanup()
	if _, err := f.Write(content); err != nil {
		return err
	}
	return f.CloseAtomicallyReplace()
}

// remove removes a file, if it is there, what killed writers of it left in tmp, and
// the folders that this leaves empty, up to the root.
//
// A process that dies in here leaves some of that. The next remove of the file, or
// of another one in the same folder, completes it.
func (d Dir) remove(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	err := d.sweep(filepath.Base(path))
	// The kernel refuses to remove what is not empty. If somebody is about to put
	// a file in, replace makes the folder again.
	_ = unix.Rmdir(d.tmp())
	for folder := filepath.Dir(path); folder != d.Root; folder = filepath.Dir(folder) {
		if err := unix.Rmdir(folder); err != nil && !errors.Is(err, fs.ErrNotExist) {
			break
		}
	}
	return err
}

// sweep removes from tmp what killed writers left there: what was to become the
// file of the given name, whose only possible writer is the caller, and of the
// others what is older than any living writer.
func (d Dir) sweep(name string) error {
	entries, err := os.ReadDir(d.tmp())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, entry := range entries {
		// renameio names its files ".<name><number>"; ours end in suffix,
		// so no name is the beginning of another.
		if !strings.HasPrefix(entry.Name(), "."+name) {
			info, err := entry.Info()
			if err != nil || time.Since(info.ModTime()) < abandoned {
				continue // err: its writer has just renamed it
			}
		}
		err := os.Remove(filepath.Join(d.tmp(), entry.Name()))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// Abandoned returns the files in tmp that killed writers have left there so long ago that
// they are older than any living writer. To remove one is up to the caller.
func (d Dir) Abandoned() ([]string, error) {
	entries, err := os.ReadDir(d.tmp())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("look for abandoned files: %w", err)
	}
	var paths []string
	for _, entry := range entries {
		// err: its writer has just renamed it.
		if info, err := entry.Info(); err == nil && time.Since(info.ModTime()) >= abandoned {
			paths = append(paths, filepath.Join(d.tmp(), entry.Name()))
		}
	}
	return paths, nil
}
