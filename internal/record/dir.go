// SPDX-License-Identifier: Apache-2.0

package record

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/xdp-chain/xdp-chain/internal/errs"
	"github.com/xdp-chain/xdp-chain/internal/files"
	"github.com/xdp-chain/xdp-chain/internal/flock"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
)

var (
	// ErrBroken is wrapped by every [BrokenError].
	ErrBroken = errors.New("broken file")

	// ErrVersion is wrapped by the errors about a file that a later version of
	// this format wrote, such as before a downgrade. The file stays where it is.
	ErrVersion = errors.New("file of a later version")

	// ErrNotHeld is wrapped by the errors about a change to a record without its
	// chain's lock.
	ErrNotHeld = errors.New("the chain's lock is not held")
)

// DefaultRoot is where a node has its records.
const DefaultRoot = "/run/xdp-chain"

// suffix is what the files' names end in.
const suffix = ".json"

// Dir is the folder of a node's records.
type Dir struct {
	// Root is its path, absolute. It is made when something is first written.
	Root string
	// readOnly says that what is found broken stays where it is.
	readOnly bool
}

// ReadOnly returns the same folder for those who look at it without changing anything:
// a broken file is not set aside, and the error about it is no [*BrokenError] but one
// that satisfies errors.Is(err, [ErrBroken]).
func (d Dir) ReadOnly() Dir {
	d.readOnly = true
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
	return errs.Wrapf(err, "save the record of chain %s", r.Key)
}

// Remove removes the record of a chain whose lock is held. One that is not there
// is no error. A process that dies right after it has forgotten the chain, so it
// is the last thing done to one.
func (d Dir) Remove(held Holder, key chain.Key) error {
	if !held.Holds(key) {
		return fmt.Errorf("remove the record of chain %s: %w", key, ErrNotHeld)
	}
	return errs.Wrapf(d.remove(d.chain(key)), "remove the record of chain %s", key)
}

// Keys returns the chains that have a record, in no order that means anything.
// No folder is no records.
func (d Dir) Keys() ([]chain.Key, error) {
	keys, err := files.Parse(d.chains(), func(name string) (chain.Key, error) {
		base, ours := strings.CutSuffix(name, suffix)
		if !ours {
			return chain.Key{}, fmt.Errorf("%w: %q is no record's name", chain.ErrInvalid, name)
		}
		return chain.ParseKey(base)
	})
	return keys, errs.Wrapf(err, "list records")
}

// Kernel is what was found out about the running kernel at some cost, and what stays
// true until it is booted again.
type Kernel struct {
	// Version is the format's; [Dir.SaveKernel] sets it.
	Version int `json:"version"`
	// NoFreplace says what keeps the kernel from replacing functions of loaded
	// programs, which libxdp's dispatcher lives by; empty where it can.
	NoFreplace string `json:"noFreplace,omitempty"`
}

// KernelPath is the file that it is kept in. Removing that has everything found out anew.
func (d Dir) KernelPath() string { return filepath.Join(d.Root, "kernel"+suffix) }

// LoadKernel reads what was found out. Where nothing was, the error satisfies
// errors.Is(err, [fs.ErrNotExist]); otherwise errors are as those of [Dir.Load].
func (d Dir) LoadKernel() (Kernel, error) {
	var k Kernel
	if err := d.read(d.KernelPath(), func(content []byte) error { return decode(content, &k) }); err != nil {
		return Kernel{}, fmt.Errorf("load what is known of the kernel: %w", err)
	}
	return k, nil
}

// SaveKernel writes what was found out. It needs no lock: all who look find the same.
// A process that dies in here leaves the question open, and maybe a file in tmp.
func (d Dir) SaveKernel(k Kernel) error {
	k.Version = Version
	content, err := encode(k)
	if err == nil {
		err = d.replace(d.KernelPath(), content)
	}
	return errs.Wrapf(err, "save what is known of the kernel")
}

// ID names a member of a chain, for people. It is small, from 1, and no other member
// of the node has had it or will have it until reboot. 0 is none.
type ID uint32

// maxID keeps ids within what every language can read from JSON.
const maxID = math.MaxInt32

// lastID is how the name of the empty file begins that is called after the last id given
// away. It is renamed to the next one, which leaves nothing half written.
const lastID = "last-id."

// TakeIDs gives n ids away that nobody has had, and returns the first; the others
// follow it. Where the file that says which was the last is lost, it goes on from the
// records there are. Where others hold the ids for as long as ctx allows to wait, the error
// satisfies errors.Is(err, ctx.Err()).
//
// A process that dies right after it has taken ids that no member will have.
func (d Dir) TakeIDs(ctx context.Context, n int) (first ID, err error) {
	defer func() { err = errs.Wrapf(err, "take ids for members") }()
	lock, err := d.lockIDs(ctx)
	if err != nil {
		return 0, err
	}
	defer lock.Close()
	file, last, err := d.lastID()
	if errors.Is(err, fs.ErrNotExist) {
		if last, err = d.largestID(); err == nil {
			file, err = d.makeLastID(last)
		}
	}
	if err != nil {
		return 0, err
	}
	if n > maxID-int(last) {
		return 0, fmt.Errorf("%d are left until reboot, and %d are needed", maxID-int(last), n)
	}
	return last + 1, os.Rename(file, d.lastIDFile(last+ID(n)))
}

func (d Dir) lastIDFile(last ID) string {
	return filepath.Join(d.Root, lastID+strconv.Itoa(int(last)))
}

// lastID finds the file and what it is called after. Without one the error satisfies
// errors.Is(err, [fs.ErrNotExist]).
func (d Dir) lastID() (file string, last ID, err error) {
	names, err := files.Names(d.Root)
	for _, name := range names {
		digits, ours := strings.CutPrefix(name, lastID)
		if number, err := strconv.ParseUint(digits, 10, 31); ours && err == nil {
			return filepath.Join(d.Root, name), ID(number), nil
		}
	}
	if err == nil {
		err = fs.ErrNotExist
	}
	return "", 0, err
}

// makeLastID makes the file. Dies after it: the ids go on from there.
func (d Dir) makeLastID(last ID) (string, error) {
	f, err := os.OpenFile(d.lastIDFile(last), os.O_CREATE|os.O_EXCL, fileMode)
	if err != nil {
		return "", err
	}
	return f.Name(), f.Close()
}

// lockIDs waits for the lock under which ids are taken: the one of the root folder. Nobody
// holds it for longer than it takes to rename a file, unless it was stopped.
func (d Dir) lockIDs(ctx context.Context) (*os.File, error) {
	if err := os.MkdirAll(d.Root, folderMode); err != nil {
		return nil, err
	}
	f, err := os.Open(d.Root)
	if err != nil {
		return nil, err
	}
	err = flock.Wait(ctx, f, flock.Exclusive)
	if errors.As(err, new(*flock.TakenError)) {
		err = fmt.Errorf("another process holds it (lsof tells which): %w", ctx.Err())
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("lock %s: %w", d.Root, err)
	}
	return f, nil
}

// largestID looks through the records. One that cannot be read has members that nobody
// will find by their ids.
func (d Dir) largestID() (ID, error) {
	keys, err := d.Keys()
	if err != nil {
		return 0, err
	}
	var largest ID
	for _, key := range keys {
		r, err := d.Load(key)
		if err != nil {
			continue
		}
		for _, s := range r.States() {
			for _, m := range s.Members {
				largest = max(largest, m.ID)
			}
		}
	}
	return largest, nil
}
