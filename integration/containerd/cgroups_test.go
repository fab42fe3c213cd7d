// SPDX-License-Identifier: Apache-2.0

package containerd

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

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
