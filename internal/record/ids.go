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

	"github.com/xdp-chain/xdp-chain/internal/files"
	"github.com/xdp-chain/xdp-chain/internal/flock"
)

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
	if first, err = d.takeIDs(ctx, n); err != nil {
		return 0, fmt.Errorf("take ids for members: %w", err)
	}
	return first, nil
}

func (d Dir) takeIDs(ctx context.Context, n int) (ID, error) {
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
