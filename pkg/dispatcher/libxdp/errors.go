// SPDX-License-Identifier: Apache-2.0

package libxdp

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
)

var (
	// ErrNotDispatcher is wrapped by errors about a program that libxdp does not take for
	// a dispatcher.
	ErrNotDispatcher = errors.New("not a libxdp dispatcher")

	// ErrVersion is wrapped by errors about a dispatcher whose version of the protocol is
	// newer than those that this package knows.
	ErrVersion = errors.New("unknown version of libxdp's protocol")

	// ErrNoFreplace is wrapped by errors about a kernel that does not put programs in the
	// place of functions of others (program type BPF_PROG_TYPE_EXT), or not into a
	// second dispatcher. It satisfies errors.Is(err, ebpf.ErrNotSupported).
	ErrNoFreplace = fmt.Errorf("libxdp's dispatcher needs freplace: %w", ebpf.ErrNotSupported)
)
