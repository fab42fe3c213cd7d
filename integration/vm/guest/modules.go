// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// load loads kernel modules in the order given.
func load(paths []string) error {
	for _, path := range paths {
		if err := loadOne(path); err != nil {
			return fmt.Errorf("loading %s: %w", path, err)
		}
	}
	return nil
}

func loadOne(path string) error {
	module, err := os.Open(path)
	if err != nil {
		return err
	}
	defer module.Close()
	err = unix.FinitModule(int(module.Fd()), "", 0)
	if errors.Is(err, unix.EEXIST) {
		return nil // the kernel has it built in
	}
	return err
}
