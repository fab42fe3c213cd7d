// SPDX-License-Identifier: Apache-2.0

package record

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/xdp-chain/xdp-chain/pkg/chain"
)

// DefaultRoot is where a node has its records.
const DefaultRoot = "/run/xdp-chain"

// suffix is what the files' names end in.
const suffix = ".json"

// Dir is the folder of a node's records.
type Dir struct {
	// Root is its path, absolute. It is made when something is first written.
	Root string
	// untouched says that what is found broken stays where it is.
	untouched bool
}

// ReadOnly returns the same folder for those who look at it without changing anything:
// a broken file is not set aside, and the error about it is no [*BrokenError] but one
// that satisfies errors.Is(err, [ErrBroken]).
func (d Dir) ReadOnly() Dir {
	d.untouched = true
	return d
}

// Holder is the proof that a chain's lock is held, such as a [pin.Locked].
//
// [pin.Locked]: https://pkg.go.dev/github.com/xdp-chain/xdp-chain/pkg/pin#Locked
type Holder interface {
	// Holds tells whether the lock is the given chain's, and held now.
	Holds(key chain.Key) bool
}

func (d Dir) chains() string { return filepath.Join(d.Root, "chains") }

func (d Dir) chain(key chain.Key) string { return filepath.Join(d.chains(), key.String()+suffix) }

// Load reads the record of a chain. It needs no lock, and without one the record
// may be changed at any time. Without a record the error satisfies
// errors.Is(err, [fs.ErrNotExist]), with one that does not parse it is a
// [*BrokenError], and with one of a later version it satisfies
// errors.Is(err, [ErrVersion]).
func (d Dir) Load(key chain.Key) (*Record, error) {
	var r *Record
	err := d.read(d.chain(key), func(content []byte) (err error) {
		if r, err = decodeRecord(content); err == nil && r.Key != key {
			err = fmt.Errorf("%w: it is about chain %s", chain.ErrInvalid, r.Key)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("load the record of chain %s: %w", key, err)
	}
	return r, nil
}

// Save writes the record of a chain whose lock is held, in the place of the one
// there was.
//
// A process that dies in here leaves the old record, and maybe a file in tmp that
// Remove takes along; one that dies right after it leaves the new record.
func (d Dir) Save(held Holder, r *Record) error {
	if !held.Holds(r.Key) {
		return fmt.Errorf("save the record of chain %s: %w", r.Key, ErrNotHeld)
	}
	content, err := encodeRecord(*r)
	if err == nil {
		err = d.replace(d.chain(r.Key), content)
	}
	if err != nil {
		return fmt.Errorf("save the record of chain %s: %w", r.Key, err)
	}
	return nil
}

// Remove removes the record of a chain whose lock is held. One that is not there
// is no error. A process that dies right after it has forgotten the chain, so it
// is the last thing done to one.
func (d Dir) Remove(held Holder, key chain.Key) error {
	if !held.Holds(key) {
		return fmt.Errorf("remove the record of chain %s: %w", key, ErrNotHeld)
	}
	if err := d.remove(d.chain(key)); err != nil {
		return fmt.Errorf("remove the record of chain %s: %w", key, err)
	}
	return nil
}

// Keys returns the chains that have a record, in no order that means anything.
// No folder is no records.
func (d Dir) Keys() ([]chain.Key, error) {
	names, err := listFiles(d.chains())
	if err != nil {
		return nil, fmt.Errorf("list records: %w", err)
	}
	keys := make([]chain.Key, 0, len(names))
	for _, name := range names {
		var key chain.Key
		if base, ours := strings.CutSuffix(name, suffix); ours && key.UnmarshalText([]byte(base)) == nil {
			keys = append(keys, key)
		}
	}
	return keys, nil
}

// listFiles returns the names in a folder; one that is not there is empty.
func listFiles(path string) ([]string, error) {
	entries, err := os.ReadDir(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	names := make([]string, len(entries))
	for i, entry := range entries {
		names[i] = entry.Name()
	}
	return names, nil
}
