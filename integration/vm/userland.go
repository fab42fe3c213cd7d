// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"hash/crc32"
	"strings"
)

// userlandSuite is where the guests' programs come from: Debian 12, whose xdp-tools
// are 1.3.1, the release that most machines have.
const userlandSuite = "bookworm"

// userlandPackages are the programs that tests run in a guest; those that they need
// come along. Busybox stands in for the rest.
var userlandPackages = []string{
	"bpftool",
	"busybox-static",
	"dash", // the shell; busybox's prefers its own applets to what is in PATH
	"iproute2",
	"iputils-ping",
	"util-linux", // nsenter, setpriv
	"xdp-tools",
}

// userland returns the folder with a root file system for the guests.
func (l *lab) userland(ctx context.Context) (string, error) {
	// Another list is another folder, so that nobody has to clear the cache.
	list := crc32.ChecksumIEEE([]byte(strings.Join(userlandPackages, " ")))
	return l.unpacked(ctx, fmt.Sprintf("userland-%s-%08x", userlandSuite, list), userlandSuite, func(ctx context.Context, a *apt) error {
		return a.download(ctx, true, userlandPackages...)
	})
}
