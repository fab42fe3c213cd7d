// SPDX-License-Identifier: Apache-2.0

package containerd

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
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

// cgroupRoot is where cgroups are mounted.
const cgroupRoot = "/sys/fs/cgroup"

// mountCgroups makes the machine's cgroups visible again, until the end of the test:
// the sandbox's /sys covers the mounts that runc needs, which mountinfo lists all the
// same. They are mounted with the options they have, because those of the version-2
// hierarchy are the whole machine's: a mount without them would take them off.
func mountCgroups(t *testing.T) {
	t.Helper()
	mounts, err := cgroupMounts()
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range mounts {
		if err := os.MkdirAll(m.point, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := unix.Mount(m.source, m.point, m.fstype, 0, m.options); err != nil {
			t.Fatalf("mounting %s at %s: %v", m.fstype, m.point, err)
		}
		t.Cleanup(func() {
			// Some containerds put their containers' cgroups in a folder of this name, and
			// none takes it away. It is not there, or it is in use by others, or this works.
			_ = os.Remove(filepath.Join(m.point, "k8s.io"))
			if err := unix.Unmount(m.point, 0); err != nil {
				t.Errorf("unmounting %s: %v", m.point, err)
			}
		})
	}
}

// cgroupsOf lists the cgroups of containers, which have their ids for names.
func cgroupsOf(t *testing.T, ids []string) (found []string) {
	t.Helper()
	err := filepath.WalkDir(cgroupRoot, func(path string, d fs.DirEntry, err error) error {
		if os.IsNotExist(err) {
			return nil // others make and remove cgroups meanwhile
		}
		if err == nil && d.IsDir() && slices.Contains(ids, d.Name()) {
			found = append(found, path)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	return found
}

type mount struct{ fstype, source, point, options string }

// cgroupMounts lists the mounts that the sandbox's /sys covers. They are read once:
// later there may be those of a test, too.
var cgroupMounts = sync.OnceValues(func() (mounts []mount, err error) {
	content, err := os.ReadFile("/proc/self/mountinfo")
	for line := range strings.Lines(string(content)) {
		head, tail, _ := strings.Cut(line, " - ")
		point := strings.Fields(head)[4]
		kind := strings.Fields(tail) // type, source, options; proc_pid_mountinfo(5)
		if point == cgroupRoot || strings.HasPrefix(point, cgroupRoot+"/") {
			mounts = append(mounts, mount{kind[0], kind[1], point, withoutFlags(kind[2])})
		}
	}
	return mounts, err
})

// withoutFlags takes from a mount's options those that are no filesystem's own.
func withoutFlags(options string) string {
	own := slices.DeleteFunc(strings.Split(options, ","), func(option string) bool {
		return option == "rw" || option == "ro" || option == "seclabel"
	})
	return strings.Join(own, ",")
}
