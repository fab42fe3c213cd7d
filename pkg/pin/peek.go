// SPDX-License-Identifier: Apache-2.0

package pin

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/xdp-chain/xdp-chain/pkg/chain"
)

// What follows looks at a tree and changes nothing in it, not even what a taken and
// given lock would: an empty folder stays.

// Mounted tells whether there is a bpffs at Root. Errors satisfy errors.Is(err,
// [ErrNoBPFFS]).
func (t Tree) Mounted() (bool, error) { return isBPFFS(t.Root) }

// Mountable returns nil where [Tree.Ensure] can mount a bpffs, and otherwise an error
// that satisfies errors.Is(err, [ErrNoBPFFS]). It has the kernel make the mount and puts
// it nowhere (fsopen(2) and fsmount(2), since Linux 5.2).
func (t Tree) Mountable() error {
	if _, err := os.Stat(t.Root); err != nil {
		return noBPFFS(t.Root, err)
	}
	fsfd, err := unix.Fsopen("bpf", unix.FSOPEN_CLOEXEC)
	if err != nil {
		return noBPFFS(t.Root, err)
	}
	defer unix.Close(fsfd)
	if err := unix.FsconfigCreate(fsfd); err != nil {
		return noBPFFS(t.Root, err)
	}
	mount, err := unix.Fsmount(fsfd, unix.FSMOUNT_CLOEXEC, unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NODEV|unix.MOUNT_ATTR_NOEXEC)
	if err != nil {
		return noBPFFS(t.Root, err)
	}
	return unix.Close(mount)
}

// Busy tells whether somebody holds the lock of a chain at this moment. No folder is
// nobody.
func (t Tree) Busy(key chain.Key) (bool, error) { return busy(t.chain(key)) }

// NodeBusy tells whether somebody holds the lock on a network's maps at this moment.
func (t Tree) NodeBusy(network string) (bool, error) {
	name, err := entryName(network)
	if err != nil {
		return false, nil // it can have no folder
	}
	return busy(filepath.Join(t.node(), name))
}

// busy tries for a moment to share the lock that its holder has for itself. Whoever
// waits for the lock in that moment waits a millisecond longer, and who does not wait
// takes the folder for one that somebody works on, which is true.
func busy(path string) (bool, error) {
	dir, err := os.OpenFile(path, unix.O_DIRECTORY, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer dir.Close() // and with it the lock
	err = flock(dir, unix.LOCK_SH|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return true, nil
	}
	if err != nil {
		return false, fmt.Errorf("look whether %s is locked: %w", path, err)
	}
	return false, nil
}

// Unsettled tells whether a chain's folder has something of a generation that is being
// staged or settled: by the holder of the lock, or by one that died.
func (t Tree) Unsettled(key chain.Key) (bool, error) {
	names, err := listFolder(t.chain(key))
	if err != nil {
		return false, fmt.Errorf("look at the pins of chain %s: %w", key, err)
	}
	for _, name := range names {
		for _, prefix := range []string{partPrefix, nextPrefix, settlePrefix} {
			if strings.HasPrefix(name, prefix) {
				return true, nil
			}
		}
	}
	return false, nil
}

// LibxdpCookies returns the network namespaces that have a tree of libxdp's, in no order
// that means anything.
func (t Tree) LibxdpCookies() ([]uint64, error) {
	names, err := listFolder(t.netns())
	if err != nil {
		return nil, fmt.Errorf("list the namespaces with pins of libxdp's: %w", err)
	}
	cookies := make([]uint64, 0, len(names))
	for _, name := range names {
		if cookie, err := strconv.ParseUint(name, 10, 64); err == nil {
			cookies = append(cookies, cookie)
		}
	}
	return cookies, nil
}
