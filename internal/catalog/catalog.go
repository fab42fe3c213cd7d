// SPDX-License-Identifier: Apache-2.0

package catalog

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/xdp-chain/xdp-chain/bpf"
	"github.com/xdp-chain/xdp-chain/internal/config"
	"github.com/xdp-chain/xdp-chain/internal/files"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
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

// Entry is a program that a chain can have by its name.
type Entry struct {
	// Name is what programs[].name in a configuration says.
	Name string
	// Origin says in messages and records where the object comes from.
	Origin string
	// File is the catalog file that the entry comes from, or that changes the defaults
	// of a built-in. Empty: none.
	File string
	// Object is the absolute path of a BPF ELF object. Empty: it is Content.
	Object string
	// Content is the BPF ELF object of a built-in.
	Content []byte
	// Function is the program's name in the object; empty where the object has one
	// program alone.
	Function string
	// Priority is the entry's place in a chain; nil leaves it to the object.
	Priority *int
	// ProceedOn holds the verdicts after which the next member runs; nil leaves
	// them to the object.
	ProceedOn *chain.ActionSet
	// Globals sets variables of the object by name; values are JSON, as in a
	// configuration.
	Globals map[string]json.RawMessage
	// Settable holds the variables that a pod may set, and to what.
	Settable map[string]Setting
	// Transmits says that the program sends packets back, by XDP_TX or XDP_REDIRECT.
	Transmits bool
	// Lists names the maps that the program reads from key 0 on, up to the first
	// key that is not set. See [Entry.CheckMaps].
	Lists []string
}

// clone returns an entry that shares nothing with e but the settings, which nobody
// changes.
func (e Entry) clone() Entry {
	if e.Priority != nil {
		e.Priority = new(*e.Priority)
	}
	if e.ProceedOn != nil {
		e.ProceedOn = new(*e.ProceedOn)
	}
	e.Globals, e.Settable = maps.Clone(e.Globals), maps.Clone(e.Settable)
	e.Content, e.Lists = slices.Clone(e.Content), slices.Clone(e.Lists)
	return e
}

// builtins are the programs of package bpf, in the order of their names.
var builtins = []Entry{
	{Name: "acl", Priority: new(20), Lists: []string{"rules"}},
	{Name: "count", Priority: new(10)},
	{Name: "drop"},
	{Name: "flow-stats", Priority: new(120)},
	// A bridge floods frames to others too: only those to the pod are its to answer.
	{Name: "icmp-echo", Priority: new(130), Transmits: true, Globals: map[string]json.RawMessage{"mac": json.RawMessage(`"${pod.mac}"`)}},
	{Name: "pass"},
	{Name: "ratelimit", Priority: new(110), Settable: map[string]Setting{
		"pps":   between(1, 100_000),
		"bps":   between(8_000, 10_000_000_000),
		"burst": between(1, 100_000),
	}},
}

// Builtins returns the names of the built-in entries in ascending order.
func Builtins() []string {
	names := make([]string, len(builtins))
	for i, e := range builtins {
		names[i] = e.Name
	}
	return names
}

// Builtin returns the built-in entry of that name. Another name is an error that
// lists the names there are and satisfies errors.Is(err, [ErrUnknown]).
func Builtin(name string) (Entry, error) {
	i := slices.IndexFunc(builtins, func(e Entry) bool { return e.Name == name })
	if i < 0 {
		return Entry{}, unknown(name, Builtins())
	}
	e := builtins[i].clone()
	content, err := bpf.Objects.ReadFile(fmt.Sprintf("%s/%[1]s.o", name))
	if err != nil {
		return Entry{}, fmt.Errorf("reading the built-in program %q: %w", name, err)
	}
	e.Origin = "built-in " + name
	e.Content = content
	// A function's name in C has no hyphens.
	e.Function = strings.ReplaceAll(name, "-", "_")
	return e, nil
}

func unknown(name string, names []string) error {
	return fmt.Errorf("%w: %q; it has %s; give an object for any other program", ErrUnknown, name, strings.Join(names, ", "))
}

// CheckMaps returns nil if the program will read every entry that the settings
// give. In a map of [Entry.Lists] it would not see what stands behind a gap in the
// keys, and a rule that silently does not hold is worse than none: that is an error
// that names the gap and satisfies errors.Is(err, [chain.ErrInvalid]). Keys that
// are no numbers are not judged here: they do not fit the map's type.
func (e Entry) CheckMaps(settings map[string]config.MapSettings) error {
	for _, name := range e.Lists {
		entries := settings[name].Entries
		keys := make(map[uint64]bool, len(entries))
		for _, entry := range entries {
			key, err := strconv.ParseUint(strings.Trim(string(entry.Key), `"`), 0, 32)
			if err != nil {
				return nil
			}
			keys[key] = true
		}
		for i := range uint64(len(keys)) {
			if !keys[i] {
				return fmt.Errorf("%w: map %q of program %q has no key %d but key %d; the program reads up to the first key that is missing, so number the entries 0, 1, 2 and so on",
					chain.ErrInvalid, name, e.Name, i, slices.Max(slices.Collect(maps.Keys(keys))))
			}
		}
	}
	return nil
}
