// SPDX-License-Identifier: Apache-2.0

package pin

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/cilium/ebpf/link"
)

// linksName is the folder of the links that put a generation's members into the
// slots of its dispatcher. libxdp's tree has the same links; here they are out of
// reach of its tools, which remove pins of chains that they cannot see.
const linksName = "links"

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
	defer dup.Close()
	if err := dup.Pin(path); err != nil {
		return fmt.Errorf("pin at %s: %w", path, err)
	}
	return nil
}

// OpenLinks opens the links that put the members into the slots of the chain's
// dispatcher, by member. The caller closes them. A generation that was staged
// without any has none.
func (l *Locked) OpenLinks() (map[string]link.Link, error) {
	if err := l.held(); err != nil {
		return nil, err
	}
	folder := filepath.Join(l.path, linksName)
	names, err := listFolder(folder)
	if err != nil {
		return nil, fmt.Errorf("list the pinned links of chain %s's members: %w", l.key, err)
	}
	opened := make(map[string]link.Link, len(names))
	for _, name := range names {
		k, err := link.LoadPinnedLink(filepath.Join(folder, name), nil)
		if err != nil {
			for _, k := range opened {
				k.Close()
			}
			return nil, fmt.Errorf("open the pinned link of member %q of chain %s: %w", nameOf(name), l.key, err)
		}
		opened[nameOf(name)] = k
	}
	return opened, nil
}
