// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"io/fs"

	"golang.org/x/sys/unix"
)

// newc writes an archive in the format that the kernel unpacks as its first root
// file system: Documentation/driver-api/early-userspace/buffer-format.rst. Every
// file belongs to root and was changed at no time.
type newc struct {
	w       io.Writer
	written int64
	inode   int
	err     error // the first one
}

// add writes one file: a folder, a symbolic link, whose target is content, or a
// regular file. A folder must be added before what is in it. Name has no leading
// slash.
func (a *newc) add(name string, mode fs.FileMode, content []byte) {
	kind := uint32(unix.S_IFREG)
	switch {
	case mode.IsDir():
		kind = unix.S_IFDIR
	case mode&fs.ModeSymlink != 0:
		kind = unix.S_IFLNK
	}
	a.inode++
	a.entry(name, kind|uint32(mode.Perm()), content)
}

// entry writes a header, the name with its final zero, and the content, the latter
// two padded to 4 bytes.
func (a *newc) entry(name string, mode uint32, content []byte) {
	const owner, group, links, changed, device = 0, 0, 1, 0, 0
	a.write(fmt.Appendf(nil, "070701%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X",
		a.inode, mode, owner, group, links, changed, len(content),
		device, device, device, device, len(name)+1, 0 /* no checksum in this format */))
	a.write(append([]byte(name), 0))
	a.pad()
	a.write(content)
	a.pad()
}

// close writes the trailer and returns the first error of all.
func (a *newc) close() error {
	a.entry("TRAILER!!!", 0, nil)
	return a.err
}

func (a *newc) pad() { a.write(make([]byte, -a.written&3)) }

func (a *newc) write(p []byte) {
	if a.err != nil {
		return
	}
	n, err := a.w.Write(p)
	a.written += int64(n)
	a.err = err
}
