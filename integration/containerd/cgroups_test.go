// SPDX-License-Identifier: Apache-2.0

package containerd

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// cgroupRoot is where cgroups are mounted, and podCgroups the folder below each
// hierarchy in which containerd has runc put its containers.
const (
	cgroupRoot = "/sys/fs/cgroup"
	podCgroups = "k8s.io"
)

// mountCgroups makes the machine's cgroups visible again, until the end of the test:
// the sandbox's /sys covers the mounts that runc needs, which mountinfo lists all the
// same. They are mounted with the options they have, because those of the version-2
// hierarchy are the whole machine's: a mount without them would take them off.
//
// At the end, when all pods are gone, it fails the test where it finds a cgroup that
// was not there before, and removes the folder for them, which no containerd does.
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
		before := cgroupsIn(m.point)
		t.Cleanup(func() {
			left := slices.DeleteFunc(cgroupsIn(m.point), func(path string) bool { return slices.Contains(before, path) })
			if len(left) > 0 {
				t.Errorf("cgroups left behind: %v", left)
			}
			_ = os.Remove(filepath.Join(m.point, podCgroups)) // not there, or in use by others
			if err := unix.Unmount(m.point, 0); err != nil {
				t.Errorf("unmounting %s: %v", m.point, err)
			}
		})
	}
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

// cgroupsIn lists the containers' cgroups of a hierarchy. No folder has none.
func cgroupsIn(hierarchy string) []string {
	paths, _ := filepath.Glob(filepath.Join(hierarchy, podCgroups, "*", "cgroup.procs"))
	return paths
}
