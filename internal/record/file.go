// SPDX-License-Identifier: Apache-2.0

package record

import (
	"bytes"
	"encoding/json"
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
	kjson "sigs.k8s.io/json"

	"github.com/xdp-chain/xdp-chain/internal/errs"
	"github.com/xdp-chain/xdp-chain/internal/files"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
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
	case d.readOnly:
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
	if err := files.Remove(path); err != nil {
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
	// renameio names its files ".<name><number>"; ours end in suffix,
	// so no name is the beginning of another.
	own := func(file string) bool { return strings.HasPrefix(file, "."+name) }
	paths, err := d.leftInTmp(own)
	if err != nil {
		return err
	}
	for _, path := range paths {
		if err := files.Remove(path); err != nil {
			return err
		}
	}
	return nil
}

// Abandoned returns the files in tmp that killed writers have left there so long ago that
// they are older than any living writer. To remove one is up to the caller.
func (d Dir) Abandoned() ([]string, error) {
	paths, err := d.leftInTmp(func(string) bool { return false })
	return paths, errs.Wrapf(err, "look for abandoned files")
}

// leftInTmp returns the files in tmp that are older than any living writer, and those of
// the caller's own.
func (d Dir) leftInTmp(own func(file string) bool) ([]string, error) {
	entries, err := os.ReadDir(d.tmp())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var paths []string
	for _, entry := range entries {
		if !own(entry.Name()) {
			info, err := entry.Info()
			if err != nil || time.Since(info.ModTime()) < abandoned {
				continue // err: its writer has just renamed it
			}
		}
		paths = append(paths, filepath.Join(d.tmp(), entry.Name()))
	}
	return paths, nil
}

// MaxBroken is how many files that were set aside are kept. They are on a tmpfs,
// and whatever breaks files may break many.
const MaxBroken = 64

// brokenTime is how the names of files that were set aside begin, so that they
// sort by age.
const brokenTime = "20060102T150405.000000000Z-"

func (d Dir) broken() string { return filepath.Join(d.Root, "broken") }

// BrokenError says that a file did not parse and where it was put. It satisfies
// errors.Is for [ErrBroken]. The file is not at Path any more, so the next to look
// finds nothing there.
type BrokenError struct {
	// Path is where the file was.
	Path string
	// SetAside is where it is now; empty where it could not be moved, then
	// Err says why.
	SetAside string
	// Err says what is wrong with it.
	Err error
}

// Error names both places and what is wrong with the file.
func (e *BrokenError) Error() string {
	if e.SetAside == "" {
		return fmt.Sprintf("%s is broken and could not be set aside: %v", e.Path, e.Err)
	}
	return fmt.Sprintf("%s is broken and was set aside as %s: %v", e.Path, e.SetAside, e.Err)
}

// Unwrap returns [ErrBroken] and what is wrong with the file.
func (e *BrokenError) Unwrap() []error { return []error{ErrBroken, e.Err} }

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
	names, err := files.Names(d.broken()) // sorted by name, so by age
	if err != nil {
		return err
	}
	for _, name := range names[:max(len(names)-MaxBroken, 0)] {
		if err := files.Remove(filepath.Join(d.broken(), name)); err != nil {
			return err
		}
	}
	return nil
}

// Broken returns the files that were set aside, the oldest first.
func (d Dir) Broken() ([]string, error) {
	paths, err := files.Parse(d.broken(), func(name string) (string, error) { return filepath.Join(d.broken(), name), nil })
	return paths, errs.Wrapf(err, "list the files that were set aside")
}

// encode writes JSON whose raw values stay as they are but for white space, where
// json.Marshal would escape some characters in them.
func encode(v any) ([]byte, error) {
	var content bytes.Buffer
	encoder := json.NewEncoder(&content)
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(v)
	return content.Bytes(), err
}

// decode reads a JSON file strictly: no unknown field, none twice, names in their
// exact case. A later version's file is told from a broken one by its version
// alone, since everything else in it may have changed.
func decode(content []byte, into any) error {
	version, err := versionOf(content)
	if err != nil {
		return err
	}
	switch {
	case version > Version:
		return fmt.Errorf("%w: it has version %d and this program reads up to %d; use the program that wrote it, or a later one", ErrVersion, version, Version)
	case version < 1:
		return fmt.Errorf("%w: version %d", chain.ErrInvalid, version)
	}
	strict, err := kjson.UnmarshalStrict(content, into)
	return errors.Join(append(strict, err)...)
}

// versionOf reads a file's version, which is the first field that encode writes, and nothing
// of what follows: a node may have hundreds of files. In any other place it is found, too.
func versionOf(content []byte) (int, error) {
	var first struct {
		Version int `json:"version"`
	}
	head, _, more := bytes.Cut(content, []byte(","))
	if more && bytes.HasPrefix(head, []byte(`{"version":`)) && kjson.UnmarshalCaseSensitivePreserveInts(append(bytes.Clone(head), '}'), &first) == nil {
		return first.Version, nil
	}
	err := kjson.UnmarshalCaseSensitivePreserveInts(content, &first)
	return first.Version, err
}
