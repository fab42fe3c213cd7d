// SPDX-License-Identifier: Apache-2.0

package pin

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"github.com/xdp-chain/xdp-chain/internal/errs"
	"github.com/xdp-chain/xdp-chain/internal/files"
	"github.com/xdp-chain/xdp-chain/internal/flock"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
)

// DefaultRoot is where systems mount their bpffs.
const DefaultRoot = "/sys/fs/bpf"

// The modes of what we make. The kernel takes the umask off both, on bpffs as
// elsewhere, and makes pins 0600 by itself (bpf_obj_do_pin of kernel/bpf/inode.c),
// so that no umask opens a pin to others.
const folderMode fs.FileMode = 0o700

// Tree is the part of a bpffs that is ours: the folder xdp-chain in it.
type Tree struct {
	// Root is the mount point of the bpffs, an absolute path.
	Root string
}

func (t Tree) top() string    { return filepath.Join(t.Root, "xdp-chain") }
func (t Tree) chains() string { return filepath.Join(t.top(), "chains") }
func (t Tree) node() string   { return filepath.Join(t.top(), "node") }
func (t Tree) netns() string  { return filepath.Join(t.top(), "netns") }

func (t Tree) chain(key chain.Key) string { return filepath.Join(t.chains(), key.String()) }

// Ensure makes sure of a bpffs at Root and of our folders in it, open to their
// owner alone. It mounts the bpffs where there is none; processes that do so at
// once end up with one mount. Where there is no bpffs and mounting is refused,
// the error satisfies errors.Is(err, [ErrNoBPFFS]) and says what to run; where
// somebody else keeps the folder locked, it is a [*LockedError].
//
// A process that dies in here leaves a mounted bpffs or some of the folders,
// empty; Ensure goes on from there.
func (t Tree) Ensure() error {
	if err := t.ensureMounted(); err != nil {
		return err
	}
	for _, folder := range []string{t.top(), t.chains(), t.node(), t.netns()} {
		if err := ensurePrivate(folder); err != nil {
			return fmt.Errorf("make folder for pins: %w", err)
		}
	}
	return nil
}

// ensurePrivate makes a folder that only its owner can enter, or makes it so.
func ensurePrivate(folder string) error {
	err := os.Mkdir(folder, folderMode)
	if !errors.Is(err, fs.ErrExist) {
		return err
	}
	info, err := os.Stat(folder)
	if err != nil {
		return err
	}
	if info.Mode().Perm() == folderMode {
		return nil
	}
	return os.Chmod(folder, folderMode)
}

// Keys returns the chains that have a folder, in no order that means anything.
// What else there may be in the folder of chains is none of ours and left out.
// No tree is no chains.
func (t Tree) Keys() ([]chain.Key, error) {
	keys, err := files.Parse(t.chains(), chain.ParseKey)
	return keys, errs.Wrapf(err, "list pinned chains")
}

// Networks returns the networks that have a folder of maps, in no order that
// means anything. No tree is no networks.
func (t Tree) Networks() ([]string, error) {
	names, err := files.Parse(t.node(), func(entry string) (string, error) { return nameOf(entry), nil })
	return names, errs.Wrapf(err, "list networks with pinned maps")
}

// OpenLink opens the link of a chain without its lock, to look at: the chain may
// change at any time. Without a link the error satisfies
// errors.Is(err, [fs.ErrNotExist]). The kernel opens links for writing only, so
// the caller must leave it at looking.
func (t Tree) OpenLink(key chain.Key) (link.Link, error) {
	return openLink(filepath.Join(t.chain(key), linkName), key)
}

func openLink(path string, key chain.Key) (link.Link, error) {
	l, err := link.LoadPinnedLink(path, nil)
	return l, errs.Wrapf(err, "open the pinned link of chain %s", key)
}

// OpenCounters opens the counters of a chain's generation, for reading alone,
// without its lock: the chain may change at any time, and then counts in another
// map. A generation that runs and is not final yet has them where it was staged.
// Without counters the error satisfies errors.Is(err, [fs.ErrNotExist]).
//
// Once the generation is final, what is opened is the chain's, be it of that
// generation or of a later one. So who wants to be sure looks afterwards whether
// the generation still is the one that runs.
func (t Tree) OpenCounters(key chain.Key, generation uint64) (*ebpf.Map, error) {
	m, err := t.openMap(key, generation, countersName)
	return m, errs.Wrapf(err, "open the pinned counters of chain %s", key)
}

// OpenMap opens a map of a member of a chain's generation, by its name in the
// member's object. All that is said of [Tree.OpenCounters] holds for it too.
func (t Tree) OpenMap(key chain.Key, generation uint64, member, name string) (*ebpf.Map, error) {
	folder, err := entryName(member)
	var entry string
	if err == nil {
		entry, err = entryName(name)
	}
	var m *ebpf.Map
	if err == nil {
		m, err = t.openMap(key, generation, filepath.Join(mapsName, folder, entry))
	}
	return m, errs.Wrapf(err, "open the pinned map %q of member %q of chain %s", name, member, key)
}

// openMap opens a map, for reading alone, by its path in a generation's folder.
func (t Tree) openMap(key chain.Key, generation uint64, path string) (m *ebpf.Map, err error) {
	number := strconv.FormatUint(generation, 10)
	// In the order in which FinalizePins moves them, so that they are not missed.
	for _, stage := range []string{nextPrefix + number, settlePrefix + number, ""} {
		m, err = ebpf.LoadPinnedMap(filepath.Join(t.chain(key), stage, path), &ebpf.LoadPinOptions{ReadOnly: true})
		if !errors.Is(err, fs.ErrNotExist) {
			break
		}
	}
	return m, err
}

// maxName is the largest length of a file's name, in bytes (NAME_MAX of
// linux/limits.h).
const maxName = 255

// entryName returns how name is written on bpffs, which refuses dots
// (bpf_lookup of kernel/bpf/inode.c). Neither C identifiers, nor the dotted names
// of data sections, nor CNI's network names hold a colon, so it stands for the
// dot. A name that could not be read back, or that would lead elsewhere, is an
// error that satisfies errors.Is(err, [chain.ErrInvalid]).
func entryName(name string) (string, error) {
	switch {
	case name == "":
		return "", fmt.Errorf("%w: a name on bpffs cannot be empty", chain.ErrInvalid)
	case len(name) > maxName:
		return "", fmt.Errorf("%w: name %.20q… has %d bytes; a name on bpffs has at most %d", chain.ErrInvalid, name, len(name), maxName)
	case strings.ContainsAny(name, "/:\x00"):
		return "", fmt.Errorf("%w: name %q; a name on bpffs holds no slash, no colon and no NUL", chain.ErrInvalid, name)
	}
	return strings.ReplaceAll(name, ".", ":"), nil
}

// nameOf is the inverse of entryName.
func nameOf(entry string) string { return strings.ReplaceAll(entry, ":", ".") }

// MapPath returns where a map of a member of a chain is pinned, by its name in the
// member's object, once the chain's generation is final. A name that cannot stand on
// bpffs is an error that satisfies errors.Is(err, [chain.ErrInvalid]).
func (t Tree) MapPath(key chain.Key, member, name string) (string, error) {
	return mapPath(filepath.Join(t.chain(key), mapsName), "member", member, name)
}

// NodeMapPath returns where a map of a network would be pinned. Errors are as those of
// MapPath.
func (t Tree) NodeMapPath(network, name string) (string, error) {
	return mapPath(t.node(), "network", network, name)
}

// mapPath returns the path of a map in the folder of its owner, of the given kind in
// messages, below a folder of owners.
func mapPath(owners, kind, owner, name string) (string, error) {
	folder, err := entryName(owner)
	if err != nil {
		return "", fmt.Errorf("%s %q: %w", kind, owner, err)
	}
	entry, err := entryName(name)
	if err != nil {
		return "", fmt.Errorf("map %q: %w", name, err)
	}
	return filepath.Join(owners, folder, entry), nil
}

// mountTimeout is how long to wait for another process that mounts the bpffs,
// which takes it some microseconds.
const mountTimeout = 3 * time.Second

// ensureMounted mounts a bpffs at Root unless there is one.
//
// Who wants to mount first locks the folder that is to be covered. It is the one
// inode that every process finds at Root as long as nothing is mounted there, and
// once something is, whoever waited for the lock sees so. Nothing of the lock
// remains.
func (t Tree) ensureMounted() error {
	if on, err := t.Mounted(); on || err != nil {
		return err
	}
	covered, err := os.Open(t.Root)
	if err != nil {
		return t.noBPFFS(err)
	}
	defer covered.Close()
	if err := lockToMount(covered); err != nil {
		return err
	}
	if on, err := t.Mounted(); on || err != nil {
		return err
	}
	// As systemd mounts it. A process that dies right after this leaves what
	// everybody wants; the kernel frees the lock.
	return t.noBPFFS(unix.Mount("bpf", t.Root, "bpf", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "mode=0700"))
}

// lockToMount waits for the lock on the folder to cover, but not for long: every
// user of the node can open that folder, and so lock it.
func lockToMount(covered *os.File) error {
	ctx, cancel := context.WithTimeout(context.Background(), mountTimeout)
	defer cancel()
	err := flock.Wait(ctx, covered, flock.Exclusive)
	if taken, ok := errors.AsType[*flock.TakenError](err); ok {
		return lockedError(fmt.Sprintf("no bpffs at %s, and the folder to mount it on", covered.Name()), covered, taken)
	}
	return errs.Wrapf(err, "lock %s to mount a bpffs", covered.Name())
}

// Mounted tells whether there is a bpffs at Root. Errors satisfy errors.Is(err,
// [ErrNoBPFFS]).
func (t Tree) Mounted() (bool, error) {
	var stat unix.Statfs_t
	err := unix.Statfs(t.Root, &stat)
	for errors.Is(err, unix.EINTR) {
		err = unix.Statfs(t.Root, &stat)
	}
	return err == nil && int64(stat.Type) == unix.BPF_FS_MAGIC, t.noBPFFS(err)
}

// noBPFFS is the error about a bpffs that err keeps from being mounted; nil for nil.
func (t Tree) noBPFFS(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w at %s, and it cannot be mounted: %w; as root of the node run: mkdir -p %[2]s && mount -t bpf bpf %[2]s",
		ErrNoBPFFS, t.Root, err)
}

// Mountable returns nil where [Tree.Ensure] can mount a bpffs, and otherwise an error
// that satisfies errors.Is(err, [ErrNoBPFFS]). It has the kernel make the mount and puts
// it nowhere (fsopen(2) and fsmount(2), since Linux 5.2).
func (t Tree) Mountable() error {
	if _, err := os.Stat(t.Root); err != nil {
		return t.noBPFFS(err)
	}
	fsfd, err := unix.Fsopen("bpf", unix.FSOPEN_CLOEXEC)
	if err != nil {
		return t.noBPFFS(err)
	}
	defer unix.Close(fsfd)
	if err := unix.FsconfigCreate(fsfd); err != nil {
		return t.noBPFFS(err)
	}
	mount, err := unix.Fsmount(fsfd, unix.FSMOUNT_CLOEXEC, unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NODEV|unix.MOUNT_ATTR_NOEXEC)
	if err != nil {
		return t.noBPFFS(err)
	}
	return unix.Close(mount)
}
