// SPDX-License-Identifier: Apache-2.0

package object

import (
	"fmt"

	"github.com/xdp-chain/xdp-chain/internal/trusted"
)

// Open reads and parses the object file at path, following symbolic links. What
// the path resolves to must be a regular file of at most [MaxSize] bytes that
// nobody but root can have written or put there: it and every folder above it
// belong to root and are writable by no group and no others (a folder may be, if
// it is sticky, as /tmp is). Errors satisfy errors.Is(err, [ErrUnusable]), and
// fs.ErrNotExist where there is no such file.
func Open(path string) (*Object, error) {
	content, err := trusted.ReadFile(path, MaxSize)
	if err != nil {
		return nil, unusable{fmt.Errorf("object %s: %w", path, err)}
	}
	return New(path, content)
}
