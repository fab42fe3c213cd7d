// SPDX-License-Identifier: Apache-2.0

package pin

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/xdp-chain/xdp-chain/internal/flock"
)

// mountTimeout is how long to wait for another process that mounts the bpffs,
// which takes it some microseconds.
const mountTimeout = 3 * time.Second

// ensureMounted mounts a bpffs at root unless there is one.
//
// Who wants to mount first locks the folder that is to be covered. It is the one
// inode that every process finds at root as long as nothing is mounted there, and
// once something is, whoever waited for the lock sees so. Nothing of the lock
// remains.
func ensureMounted(root string) error {
	if on, err := isBPFFS(root); on || err != nil {
		return err
	}
	covered, err := os.Open(root)
	if err != nil {
		return noBPFFS(root, err)
	}
	defer covered.Close()
	if err := lockToMount(covered); err != nil {
		return err
	}
	if on, err := isBPFFS(root); on || err != nil {
		return err
	}
	// As systemd mounts it. A process that dies right after this leaves what
	// everybody wants; the kernel frees the lock.
	err = unix.Mount("bpf", root, "bpf", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "mode=0700")
	if err != nil {
		return noBPFFS(root, err)
	}
	return nil
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
	if err != nil {
		return fmt.Errorf("lock %s to mount a bpffs: %w", covered.Name(), err)
	}
	return nil
}

// isBPFFS tells whether path is on a bpffs.
func isBPFFS(path string) (bool, error) {
	var stat unix.Statfs_t
	err := unix.Statfs(path, &stat)
	for errors.Is(err, unix.EINTR) {
		err = unix.Statfs(path, &stat)
	}
	if err != nil {
		return false, noBPFFS(path, err)
	}
	return int64(stat.Type) == unix.BPF_FS_MAGIC, nil
}

func noBPFFS(root string, err error) error {
	return fmt.Errorf("%w at %s, and it cannot be mounted: %w; as root of the node run: mkdir -p %s && mount -t bpf bpf %s",
		ErrNoBPFFS, root, err, root, root)
}

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
