// SPDX-License-Identifier: Apache-2.0

package containerd

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
)

// wantNothing fails the test where anything is left of the pods that there were:
// containerd may have to clear up first, and the kernel to take interfaces apart.
func (s *server) wantNothing(t *testing.T) {
	t.Helper()
	s.await(t, 20*time.Second, "nothing is left", func(context.Context) (bool, string) {
		found := append(s.pods(t), left(t)...)
		return len(found) == 0, strings.Join(found, ", ")
	})
}

// left lists what pods leave: records and index files, pins, network namespaces,
// addresses and interfaces.
func left(t *testing.T) []string {
	t.Helper()
	left := filesBelow(t, "/run/xdp-chain/chains")
	left = append(left, filesBelow(t, "/run/xdp-chain/attachments")...)
	left = append(left, filesBelow(t, "/run/xdp-chain/tmp")...)
	left = append(left, filesBelow(t, "/sys/fs/bpf/xdp-chain")...)
	left = append(left, filesBelow(t, "/run/netns")...)
	return append(append(left, reservedAddresses(t)...), hostInterfaces(t)...)
}

// reservedAddresses lists the addresses that host-local holds for pods, each of them
// a file.
func reservedAddresses(t *testing.T) (found []string) {
	t.Helper()
	for _, path := range filesBelow(t, reserved) {
		if name := filepath.Base(path); name != "lock" && !strings.HasPrefix(name, "last_reserved_ip") {
			found = append(found, path)
		}
	}
	return found
}

// hostInterfaces lists the pods' veth ends.
func hostInterfaces(t *testing.T) (found []string) {
	t.Helper()
	links, err := netlink.LinkList()
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range links {
		if l.Type() == "veth" {
			found = append(found, l.Attrs().Name)
		}
	}
	return found
}

// filesBelow lists what is below a folder and is no folder itself, except some.
func filesBelow(t *testing.T, root string, except ...string) (found []string) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if os.IsNotExist(err) {
			return nil // root is not there, or path went away meanwhile
		}
		if err == nil && !d.IsDir() && !slices.Contains(except, path) {
			found = append(found, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}
