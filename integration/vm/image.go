// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/xdp-chain/xdp-chain/integration/vm/script"
)

// assemble writes the root file system of a guest: Debian's programs, the checkout
// with the binaries where its tests look for them, the modules and the script.
func (l *lab) assemble(ctx context.Context, file string, g guest) error {
	im, err := newImage(file)
	if err != nil {
		return err
	}
	defer im.file.Close() // after an error; otherwise it is closed already
	for _, dir := range []string{"/opt", "/root", "/var/lib"} {
		im.folder(dir)
	}
	if err := im.copyTree("/", g.userland, "usr/share"); err != nil {
		return err
	}
	if err := im.copyTree(guestRoot, l.checkout, ".git", ".cache", "bin"); err != nil {
		return err
	}
	if err := im.copyTree(guestRoot+"/.cache/bin", filepath.Join(l.checkout, ".cache/bin")); err != nil {
		return err
	}
	for to, from := range l.binaries(g) {
		if err := im.copy(to, from); err != nil {
			return err
		}
	}
	modules, err := im.addModules(ctx, g)
	if err != nil {
		return err
	}
	text, err := json.Marshal(g.script(modules))
	if err != nil {
		return err
	}
	im.put(script.Path, 0o644, text)
	return im.close()
}

// binaries returns what was built for a guest, and the files that the command line
// names, by their paths in the guest.
func (l *lab) binaries(g guest) map[string]string {
	files := map[string]string{script.Init: filepath.Join(l.bin, "guest")}
	for _, name := range []string{"xdp-chain", "xdpctl"} {
		files[path.Join(guestRoot, "bin", name)] = filepath.Join(l.bin, name)
	}
	for _, s := range g.suites {
		files[s.name()] = s.binary
	}
	for to, from := range g.files {
		files[to] = from
	}
	return files
}

// addModules puts the modules of a guest's kernel into the image and returns their
// paths in the order in which they can be loaded.
func (im *image) addModules(ctx context.Context, g guest) (paths []string, err error) {
	tree, err := newModuleTree(g.kernelDir, filepath.Join(g.userland, "bin/busybox"), "xzcat")
	if err != nil {
		return nil, err
	}
	for _, name := range wantedModules {
		if err := tree.choose(ctx, name); err != nil {
			return nil, err
		}
	}
	for _, m := range tree.chosen {
		name := path.Join("/modules", m.name)
		im.put(name, 0o644, m.content)
		paths = append(paths, name)
	}
	return paths, nil
}

// script is what a guest has to do: run its suites, or the command.
func (g guest) script(modules []string) script.Script {
	s := script.Script{
		Modules: modules,
		Tell:    len(g.packages) > 0, // a command's output is its own
		Env: []string{
			"CI=true",
			"XDP_CHAIN_LAB=" + g.series,
			"XDP_CHAIN_SHARD=" + g.shard,
			"XDP_CHAIN_BIN=" + guestRoot + "/bin",
		},
	}
	if len(g.packages) == 0 {
		s.Steps = []script.Step{{Name: g.args[0], Dir: guestRoot, Argv: g.args}}
	}
	for _, suite := range g.suites {
		s.Steps = append(s.Steps, suite.step(g.args))
	}
	return s
}

// guestRoot is where the checkout lies in a guest.
const guestRoot = "/xdp-chain"

// image is the first root file system of a guest, an uncompressed archive: the guest
// has to unpack it with an emulated CPU.
type image struct {
	file    *os.File
	buffer  *bufio.Writer
	archive *newc
	folders map[string]bool
}

func newImage(path string) (*image, error) {
	file, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	buffer := bufio.NewWriterSize(file, 1<<20)
	return &image{file, buffer, &newc{w: buffer}, map[string]bool{"/": true}}, nil
}

// folder adds a folder and those it is in, each once.
func (im *image) folder(name string) {
	if im.folders[name] {
		return
	}
	im.folder(path.Dir(name))
	im.folders[name] = true
	im.archive.add(name[1:], fs.ModeDir|0o755, nil)
}

// put adds a file; name is absolute.
func (im *image) put(name string, mode fs.FileMode, content []byte) {
	im.folder(path.Dir(name))
	im.archive.add(name[1:], mode, content)
}

// copy adds a file of the machine.
func (im *image) copy(name, from string) error {
	content, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	st, err := os.Stat(from)
	if err != nil {
		return err
	}
	im.put(name, st.Mode(), content)
	return nil
}

// copyTree adds all files below from, but for the paths, relative to it, that are
// left out.
func (im *image) copyTree(name, from string, leftOut ...string) error {
	without := make(map[string]bool)
	for _, p := range leftOut {
		without[filepath.Join(from, p)] = true
	}
	return filepath.WalkDir(from, func(p string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // somebody works in the checkout
		}
		if err != nil {
			return err
		}
		target := path.Join(name, filepath.ToSlash(strings.TrimPrefix(p, from)))
		switch {
		case without[p] && d.IsDir():
			return fs.SkipDir
		case without[p]:
			return nil
		case d.IsDir():
			im.folder(target)
			return nil
		case d.Type() == fs.ModeSymlink:
			to, err := os.Readlink(p)
			if err != nil {
				return err
			}
			im.put(target, fs.ModeSymlink|0o777, []byte(to))
			return nil
		case d.Type().IsRegular():
			return im.copy(target, p)
		}
		return fmt.Errorf("%s is neither file, folder nor symbolic link", p)
	})
}

func (im *image) close() error {
	return errors.Join(im.archive.close(), im.buffer.Flush(), im.file.Close())
}

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
