// SPDX-License-Identifier: Apache-2.0

// Package files lists folders, reads files whose size is bounded, and reads files that
// decide which programs run in the kernel: objects and catalog entries.
//
// # Invariants
//
// Nobody but root can have written what [ReadTrusted] and [TrustedNames] read or put it
// there: the file and every folder above it belong to root and are writable by no group
// and no others (a folder may be, if it is sticky, as /tmp is). Nothing but a regular file
// of bounded size is read, and opening waits for nobody.
//
// # Traps
//
// Symbolic links are followed first, since ConfigMap mounts consist of links, and the
// rule is about what they lead to. Where the link itself lies is for whoever lists the
// folder to judge ([TrustedNames]), or for whoever was given the path.
package files

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// Names returns the names in a folder, sorted. A folder that is not there is empty.
func Names(folder string) ([]string, error) {
	return Parse(folder, func(name string) (string, error) { return name, nil })
}

// Parse returns what the names in a folder stand for, in the order of the names, without
// those that parse has an error about. A folder that is not there is empty.
func Parse[T any](folder string, parse func(name string) (T, error)) ([]T, error) {
	entries, err := os.ReadDir(folder)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	parsed := make([]T, 0, len(entries))
	for _, entry := range entries {
		if p, err := parse(entry.Name()); err == nil {
			parsed = append(parsed, p)
		}
	}
	return parsed, nil
}

// Remove removes a file, or a folder that is empty. One that is not there is no error.
func Remove(path string) error {
	if err := os.Remove(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// ReadAtMost reads all of r, and stops where that turns out to have more than limit bytes,
// which is an error. The size that a file says it has is no bound: a file may grow, and those
// of procfs say 0.
func ReadAtMost(r io.Reader, limit int64) ([]byte, error) {
	content, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(content)) > limit {
		return nil, fmt.Errorf("more than the %d bytes that are allowed", limit)
	}
	return content, nil
}

// ReadTrusted returns the content of the regular file that path leads to, of at most limit
// bytes. Errors do not name the path as it was given, and satisfy errors.Is(err,
// fs.ErrNotExist) where there is no such file.
func ReadTrusted(path string, limit int64) ([]byte, error) {
	resolved, err := resolve(path)
	if err != nil {
		return nil, err
	}
	if err := checkFolders(filepath.Dir(resolved)); err != nil {
		return nil, err
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
	if err := checkFile(info, limit); err != nil {
		return nil, err
	}
	return ReadAtMost(f, limit)
}

// TrustedNames returns the names in the folder that path leads to, sorted. The folder is
// under the same rule as the files that [ReadTrusted] reads from it.
func TrustedNames(path string) ([]string, error) {
	resolved, err := resolve(path)
	if err != nil {
		return nil, err
	}
	names, err := Names(resolved)
	if err != nil {
		return nil, err
	}
	if err := checkFolders(resolved); err != nil {
		return nil, err
	}
	return names, nil
}

// resolve returns the absolute path without symbolic links that path leads to.
func resolve(path string) (string, error) {
	absolute, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	return filepath.EvalSymlinks(absolute)
}

// checkFolders checks a folder and every one above it.
func checkFolders(dir string) error {
	for ; ; dir = filepath.Dir(dir) {
		if err := checkFolder(dir); err != nil {
			return err
		}
		if dir == filepath.Dir(dir) {
			return nil
		}
	}
}

func checkFile(info fs.FileInfo, limit int64) error {
	switch {
	case !info.Mode().IsRegular():
		return fmt.Errorf("%s, not a regular file", describe(info.Mode()))
	case info.Size() > limit:
		return fmt.Errorf("%d bytes; at most %d are allowed", info.Size(), limit)
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
