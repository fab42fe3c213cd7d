// SPDX-License-Identifier: Apache-2.0

package object

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// Open reads and parses the object file at path, following symbolic links. What
// the path resolves to must be a regular file of at most [MaxSize] bytes that
// nobody but root can have written or put there: it and every folder above it
// belong to root and are writable by no group and no others (a folder may be, if
// it is sticky, as /tmp is). Errors satisfy errors.Is(err, [ErrUnusable]), and
// fs.ErrNotExist where there is no such file.
func Open(path string) (*Object, error) {
	content, err := read(path)
	if err != nil {
		return nil, unusable{fmt.Errorf("object %s: %w", path, err)}
	}
	return New(path, content)
}

func read(path string) ([]byte, error) {
	resolved, err := filepath.EvalSymlinks(path)
	if err != nil {
		return nil, err
	}
	for dir := filepath.Dir(resolved); ; dir = filepath.Dir(dir) {
		if err := checkFolder(dir); err != nil {
			return nil, err
		}
		if dir == filepath.Dir(dir) {
			break
		}
	}
	// O_NONBLOCK: opening a FIFO must not wait for a writer. O_NOFOLLOW: what was
	// resolved is what is opened.
	f, err := os.OpenFile(resolved, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if err := checkFile(info); err != nil {
		return nil, err
	}
	return readBounded(f)
}

// readBounded stops reading where f turns out to have more than MaxSize.
func readBounded(f io.Reader) ([]byte, error) {
	content, err := io.ReadAll(io.LimitReader(f, MaxSize+1))
	if err != nil {
		return nil, err
	}
	if len(content) > MaxSize {
		return nil, fmt.Errorf("more than the %d bytes that are allowed", MaxSize)
	}
	return content, nil
}

func checkFile(info fs.FileInfo) error {
	switch {
	case !info.Mode().IsRegular():
		return fmt.Errorf("%s, not a regular file", describe(info.Mode()))
	case info.Size() > MaxSize:
		return tooLarge(info.Size())
	}
	return checkWriters(info, "the file")
}

func checkFolder(dir string) error {
	info, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	if info.Mode()&fs.ModeSticky != 0 {
		return checkOwner(info, dir)
	}
	return checkWriters(info, dir)
}

// checkWriters refuses what others than root may write. The subject is for the
// message.
func checkWriters(info fs.FileInfo, subject string) error {
	if err := checkOwner(info, subject); err != nil {
		return err
	}
	if perm := info.Mode().Perm(); perm&0o022 != 0 {
		return fmt.Errorf("%s is writable by others than root (mode %#o); its programs run in the kernel: chmod go-w", subject, perm)
	}
	return nil
}

func checkOwner(info fs.FileInfo, subject string) error {
	if stat := info.Sys().(*syscall.Stat_t); stat.Uid != 0 {
		return fmt.Errorf("%s belongs to user %d, who could change it; its programs run in the kernel: chown root", subject, stat.Uid)
	}
	return nil
}

func tooLarge(size int64) error {
	return fmt.Errorf("%d bytes; at most %d are allowed", size, MaxSize)
}

func describe(mode fs.FileMode) string {
	switch {
	case mode.IsDir():
		return "a folder"
	case mode&fs.ModeNamedPipe != 0:
		return "a FIFO"
	case mode&fs.ModeSocket != 0:
		return "a socket"
	case mode&fs.ModeDevice != 0:
		return "a device"
	default:
		return mode.String()
	}
}
