// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"errors"
	"io/fs"
	"os"
)

// objects finds what the store could do without.
func (s *survey) objects() {
	if s.unreadable {
		return // what the records need is not known
	}
	needed := make(map[string]bool)
	for _, rec := range s.live {
		addObjects(needed, rec)
	}
	paths, err := s.node.Store.Unused(needed, unusedObjectAge)
	if err != nil {
		s.errs = append(s.errs, err)
	}
	for _, path := range paths {
		s.add(LeftoverObject, path, "no chain needs it", func(context.Context) (bool, error) {
			if isGone(path) { // along with one before it
				return true, nil
			}
			err := s.node.pruneStore()
			return isGone(path), err
		})
	}
}

// temporary finds the files that killed processes were writing records to.
func (s *survey) temporary() {
	paths, err := s.records.Abandoned()
	if err != nil {
		s.errs = append(s.errs, err)
	}
	for _, path := range paths {
		s.add(LeftoverTemporary, path, "the process that was writing it was killed", func(context.Context) (bool, error) {
			err := os.Remove(path)
			return isGone(path), err
		})
	}
}

func isGone(path string) bool {
	_, err := os.Lstat(path)
	return errors.Is(err, fs.ErrNotExist)
}
