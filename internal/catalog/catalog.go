// SPDX-License-Identifier: Apache-2.0

package catalog

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/xdp-chain/xdp-chain/internal/files"
)

var (
	// ErrUnknown is wrapped by every error about a name that no entry has.
	ErrUnknown = errors.New("no such program in the catalog")

	// ErrBroken is wrapped by every error about a catalog folder or an entry that cannot be
	// used, because a file that it comes from, or may come from, is at fault.
	ErrBroken = errors.New("the catalog is broken")
)

const (
	// suffix ends the names of the files that are looked at.
	suffix = ".yaml"
	// maxFiles is how many such files a folder may have: they are all read for each pod.
	maxFiles = 1000
	// maxFileSize is in bytes.
	maxFileSize = 64 << 10
)

// Catalog is the built-in entries and those of a folder's files, as they were when it was
// opened. A nil Catalog has the built-in ones.
type Catalog struct {
	files []*file
	// byName has the files that a name's entry comes from, or might come from.
	byName map[string][]*file
}

// Open reads the files *.yaml of a folder, but for those whose names begin with a dot.
// No folder is an empty one. A file that is at fault is no error here but one for
// whoever asks for its entry. Errors are about the folder (it cannot be read, others than
// root can write to it, it has over 1000 files) and satisfy errors.Is(err, [ErrBroken]).
func Open(dir string) (*Catalog, error) {
	names, err := files.TrustedNames(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return &Catalog{}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrBroken, dir, err)
	}
	names = slices.DeleteFunc(names, func(name string) bool {
		return strings.HasPrefix(name, ".") || !strings.HasSuffix(name, suffix)
	})
	if len(names) > maxFiles {
		return nil, fmt.Errorf("%w: %s has %d files; at most %d are allowed, since each pod reads them all", ErrBroken, dir, len(names), maxFiles)
	}
	c := &Catalog{byName: make(map[string][]*file)}
	for _, name := range names {
		f := readFile(filepath.Join(dir, name))
		c.files = append(c.files, f)
		for _, entry := range f.names {
			c.byName[entry] = append(c.byName[entry], f)
		}
	}
	return c, nil
}

// Entry returns the entry of a name. Errors satisfy errors.Is(err, [ErrUnknown]) where
// nothing has the name, and errors.Is(err, [ErrBroken]) where a file that has it, or may
// have been meant to, is at fault: then no other entry, built-in or not, stands in. The
// message names file, line and fault.
func (c *Catalog) Entry(name string) (Entry, error) {
	if c == nil {
		return Builtin(name)
	}
	files := c.byName[name]
	for _, f := range files {
		if f.err != nil {
			return Entry{}, fmt.Errorf("program %q: %w", name, f.err)
		}
	}
	switch {
	case len(files) > 1:
		return Entry{}, twice(name, files)
	case len(files) == 1:
		return files[0].entry.clone(), nil
	}
	if builtin, err := Builtin(name); err == nil || !errors.Is(err, ErrUnknown) {
		return builtin, err
	}
	err := unknown(name, c.Names())
	if broken := c.broken(); len(broken) > 0 {
		err = fmt.Errorf("%w; files that are at fault: %s", err, strings.Join(broken, ", "))
	}
	return Entry{}, err
}

// Check returns every fault of every file, joined, and nil if there is none. The errors
// satisfy errors.Is(err, [ErrBroken]).
func (c *Catalog) Check() error {
	if c == nil {
		return nil
	}
	var errs []error
	for _, f := range c.files {
		errs = append(errs, f.err)
	}
	for _, name := range slices.Sorted(maps.Keys(c.byName)) {
		sound := slices.DeleteFunc(slices.Clone(c.byName[name]), func(f *file) bool { return f.err != nil })
		if len(sound) > 1 {
			errs = append(errs, twice(name, sound))
		}
	}
	return errors.Join(errs...)
}

// Names returns the names of the entries that can be used, in ascending order.
func (c *Catalog) Names() []string {
	names := Builtins()
	if c == nil {
		return names
	}
	for name := range c.byName {
		names = append(names, name)
	}
	slices.Sort(names)
	return slices.DeleteFunc(slices.Compact(names), func(name string) bool {
		files := c.byName[name]
		return len(files) > 1 || len(files) == 1 && files[0].err != nil
	})
}

// broken returns the paths of the files that are at fault.
func (c *Catalog) broken() []string {
	var paths []string
	for _, f := range c.files {
		if f.err != nil {
			paths = append(paths, f.path)
		}
	}
	return paths
}

func twice(name string, files []*file) error {
	paths := make([]string, len(files))
	for i, f := range files {
		paths[i] = f.path
	}
	return fmt.Errorf("%w: program %q is in more than one file (%s); which one counts would be a guess", ErrBroken, name, strings.Join(paths, ", "))
}
