// SPDX-License-Identifier: Apache-2.0

package pin

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/cilium/ebpf"
)

// What follows reads a tree without its lock. A dispatcher's pins are made before it
// comes to its interface and removed after it has left, so whoever finds pins of the
// dispatcher that an interface carries finds all of them.

// Programs opens the programs in a dispatcher's slots from the first one on, up to the
// first that is not pinned; without any pin, none. The caller closes them.
func (x Libxdp) Programs(d Dispatch) ([]*ebpf.Program, error) {
	var opened []*ebpf.Program
	for {
		path := filepath.Join(x.path(), d.String(), programPin(len(opened)))
		p, err := ebpf.LoadPinnedProgram(path, nil)
		switch {
		case err == nil:
			opened = append(opened, p)
			continue
		case errors.Is(err, fs.ErrNotExist):
			return opened, nil
		}
		for _, p := range opened {
			p.Close()
		}
		return nil, fmt.Errorf("open the pinned program at %s: %w", path, err)
	}
}

// Has tells whether a dispatcher's first n slots have all their pins.
func (x Libxdp) Has(d Dispatch, n int) (bool, error) {
	for i := range n {
		for _, name := range []string{linkPin(i), programPin(i)} {
			_, err := os.Lstat(filepath.Join(x.path(), d.String(), name))
			if errors.Is(err, fs.ErrNotExist) {
				return false, nil
			}
			if err != nil {
				return false, fmt.Errorf("look for pins of a dispatcher: %w", err)
			}
		}
	}
	return true, nil
}

// Dispatches returns the dispatchers that have a folder of pins in the tree, in no
// order that means anything. No tree is none.
func (x Libxdp) Dispatches() ([]Dispatch, error) {
	names, err := listFolder(x.path())
	if err != nil {
		return nil, fmt.Errorf("list the pinned dispatchers in %s: %w", x.path(), err)
	}
	var found []Dispatch
	for _, name := range names {
		if d, ok := parseDispatch(name); ok {
			found = append(found, d)
		}
	}
	return found, nil
}
