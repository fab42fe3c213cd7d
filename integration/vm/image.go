// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

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
