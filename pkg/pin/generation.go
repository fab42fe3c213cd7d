// SPDX-License-Identifier: Apache-2.0

package pin

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"

	"github.com/xdp-chain/xdp-chain/internal/errs"
)

// The entries of a chain's folder. The last three are the stages of a generation
// that comes in, followed by its number: being pinned, whole, and being moved
// into the place of the one before it, of which nothing is left then.
const (
	linkName     = "link"
	countersName = "counters"
	mapsName     = "maps"
	// linksName is the folder of the links that put a generation's members into the
	// slots of its dispatcher. libxdp's tree has the same links; here they are out of
	// reach of its tools, which remove pins of chains that they cannot see.
	linksName = "links"

	partPrefix   = "part-"
	nextPrefix   = "next-"
	settlePrefix = "settle-"
)

func (l *Locked) stage(prefix string, generation uint64) string {
	return filepath.Join(l.path, prefix+strconv.FormatUint(generation, 10))
}

// Stage pins what a new generation of the chain has, beside the one that runs:
// its counters, nil for none, its maps by member and by name in the member's
// object, and the links that put its members into their dispatcher, by member, nil
// where the members are linked. Maps that the running generation has too are
// pinned once more. Staging a generation again replaces what was staged of it.
//
// On an error nothing of it is left. A process that dies in here leaves the
// folder part-<generation>, and one that dies right after it next-<generation>;
// [Locked.FinalizePins] removes the first, and the second unless it is the one to
// make the chain's.
func (l *Locked) Stage(generation uint64, counters *ebpf.Map, maps map[string]map[string]*ebpf.Map, links map[string]link.Link) error {
	if err := l.held(); err != nil {
		return err
	}
	part, next := l.stage(partPrefix, generation), l.stage(nextPrefix, generation)
	err := errors.Join(os.RemoveAll(part), os.RemoveAll(next))
	if err == nil {
		err = pinGeneration(part, counters, maps)
	}
	if err == nil && links != nil {
		err = pinLinks(filepath.Join(part, linksName), links)
	}
	if err == nil {
		// What is called next-<generation> is whole.
		err = os.Rename(part, next)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("stage generation %d of chain %s: %w", generation, l.key, err), os.RemoveAll(part))
	}
	return nil
}

func pinGeneration(folder string, counters *ebpf.Map, members map[string]map[string]*ebpf.Map) error {
	top := filepath.Join(folder, mapsName)
	if err := errors.Join(os.Mkdir(folder, folderMode), os.Mkdir(top, folderMode)); err != nil {
		return err
	}
	if counters != nil {
		if err := pinCopy(counters, folder, countersName); err != nil {
			return err
		}
	}
	for member, own := range members {
		name, err := entryName(member)
		if err != nil {
			return fmt.Errorf("member %q: %w", member, err)
		}
		if err := os.Mkdir(filepath.Join(top, name), folderMode); err != nil {
			return err
		}
		for mapName, m := range own {
			if err := pinCopy(m, filepath.Join(top, name), mapName); err != nil {
				return fmt.Errorf("member %q: %w", member, err)
			}
		}
	}
	return nil
}

// pinCopy pins m in a folder. It works on a copy of the descriptor, which knows
// of no other pin, because a map that knows of one would have that one moved.
func pinCopy(m *ebpf.Map, folder, name string) error {
	entry, err := entryName(name)
	if err != nil {
		return fmt.Errorf("map %q: %w", name, err)
	}
	dup, err := m.Clone()
	if err != nil {
		return fmt.Errorf("map %q: %w", name, err)
	}
	defer dup.Close()
	return errs.Wrapf(dup.Pin(filepath.Join(folder, entry)), "pin map %q", name)
}

// FinalizePins makes the folder hold the given generation, which is either the one that
// was there before, or one that was staged: then that takes the place of the one
// before. Whatever else was staged is removed.
//
// It is what ends a change, whether the change succeeded, failed, or its process
// died, and comes before anything else on a chain whose last change may not have
// ended. It can be repeated after an error or a death at any point. Once a FinalizePins
// has begun on a staged generation it must be finished by one of the same or of a
// later one, as the generation before may be gone.
func (l *Locked) FinalizePins(generation uint64) error {
	if err := l.held(); err != nil {
		return err
	}
	err := l.finishMoveIn()
	if err == nil {
		err = l.promote(generation)
	}
	if err == nil {
		// What was staged and did not come to run. A death in between leaves some of
		// it for the next FinalizePins.
		err = removeEntries(l.path, partPrefix, nextPrefix)
	}
	return errs.Wrapf(err, "settle generation %d of chain %s", generation, l.key)
}

// finishMoveIn moves in what is left of a generation that was being moved in.
func (l *Locked) finishMoveIn() error {
	paths, err := entriesWith(l.path, settlePrefix)
	if err != nil {
		return err
	}
	for _, path := range paths {
		if err := l.moveIn(path); err != nil {
			return err
		}
	}
	return nil
}

// promote puts the staged generation, if it is, into the place of the one before.
func (l *Locked) promote(generation uint64) error {
	next := l.stage(nextPrefix, generation)
	switch _, err := os.Stat(next); {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	}
	// From here on the generation before is being taken apart. A death in
	// between leaves next-<generation> whole, so this is done again.
	for _, name := range []string{mapsName, linksName} {
		if err := os.RemoveAll(filepath.Join(l.path, name)); err != nil {
			return err
		}
	}
	// The new counters, if there are any, replace the old ones in one step
	// further down, for the sake of those who read them without the lock.
	if _, err := os.Stat(filepath.Join(next, countersName)); errors.Is(err, fs.ErrNotExist) {
		if err := os.RemoveAll(filepath.Join(l.path, countersName)); err != nil {
			return err
		}
	}
	// The name settle-<generation> says that the old maps and links are gone:
	// what it lacks has been moved in already. A death right after this is finished
	// by finishMoveIn.
	settle := l.stage(settlePrefix, generation)
	if err := os.Rename(next, settle); err != nil {
		return err
	}
	return l.moveIn(settle)
}

// moveIn moves what a folder holds into the chain's folder and removes it. A
// death in between leaves the rest in there, and the next moveIn moves that.
func (l *Locked) moveIn(settle string) error {
	for _, name := range []string{countersName, mapsName, linksName} {
		err := os.Rename(filepath.Join(settle, name), filepath.Join(l.path, name))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return os.Remove(settle)
}

// OpenCounters opens the chain's counters. Without any the error satisfies
// errors.Is(err, [fs.ErrNotExist]).
func (l *Locked) OpenCounters() (*ebpf.Map, error) {
	if err := l.held(); err != nil {
		return nil, err
	}
	m, err := ebpf.LoadPinnedMap(filepath.Join(l.path, countersName), nil)
	return m, errs.Wrapf(err, "open the pinned counters of chain %s", l.key)
}

// OpenMaps opens the maps of a member, by their names in the member's object. The
// caller closes them. For a member that the chain's generation was not staged with
// the error satisfies errors.Is(err, [fs.ErrNotExist]).
func (l *Locked) OpenMaps(member string) (map[string]*ebpf.Map, error) {
	if err := l.held(); err != nil {
		return nil, err
	}
	opened, err := l.openMaps(member)
	return opened, errs.Wrapf(err, "open the pinned maps of member %q of chain %s", member, l.key)
}

func (l *Locked) openMaps(member string) (map[string]*ebpf.Map, error) {
	name, err := entryName(member)
	if err != nil {
		return nil, err
	}
	folder := filepath.Join(l.path, mapsName, name)
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil, err
	}
	return openAll(entries, func(entry string) (*ebpf.Map, error) {
		m, err := ebpf.LoadPinnedMap(filepath.Join(folder, entry), nil)
		return m, errs.Wrapf(err, "map %q", nameOf(entry))
	})
}

// openAll opens all that is pinned in a folder, by name. On an error nothing stays open.
func openAll[T io.Closer](entries []fs.DirEntry, open func(entry string) (T, error)) (map[string]T, error) {
	opened := make(map[string]T, len(entries))
	for _, entry := range entries {
		one, err := open(entry.Name())
		if err != nil {
			for _, o := range opened {
				o.Close()
			}
			return nil, err
		}
		opened[nameOf(entry.Name())] = one
	}
	return opened, nil
}

// pinLinks makes a folder that holds links by the members they belong to.
func pinLinks(folder string, links map[string]link.Link) error {
	if err := os.Mkdir(folder, folderMode); err != nil {
		return err
	}
	for member, k := range links {
		name, err := entryName(member)
		if err == nil {
			err = pinLinkCopy(k, filepath.Join(folder, name))
		}
		if err != nil {
			return fmt.Errorf("link of member %q: %w", member, err)
		}
	}
	return nil
}

// pinLinkCopy pins a link that may be pinned elsewhere too: its copy knows of no
// other pin, because a link that knows of one would have that one moved.
func pinLinkCopy(k link.Link, path string) error {
	info, err := k.Info()
	if err != nil {
		return err
	}
	dup, err := link.NewFromID(info.ID)
	if err != nil {
		return err
	}
	return pinAndClose(dup, path)
}

// pinner is what a link and a program have in common.
type pinner interface {
	io.Closer
	Pin(path string) error
}

// pinAndClose pins a copy of a link's or program's descriptor and closes it.
func pinAndClose(dup pinner, path string) error {
	defer dup.Close()
	return errs.Wrapf(dup.Pin(path), "pin at %s", path)
}

// OpenLinks opens the links that put the members into the slots of the chain's
// dispatcher, by member. The caller closes them. A generation that was staged
// without any has none.
func (l *Locked) OpenLinks() (map[string]link.Link, error) {
	if err := l.held(); err != nil {
		return nil, err
	}
	folder := filepath.Join(l.path, linksName)
	entries, err := os.ReadDir(folder)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("list the pinned links of chain %s's members: %w", l.key, err)
	}
	return openAll(entries, func(entry string) (link.Link, error) {
		k, err := link.LoadPinnedLink(filepath.Join(folder, entry), nil)
		return k, errs.Wrapf(err, "open the pinned link of member %q of chain %s", nameOf(entry), l.key)
	})
}
