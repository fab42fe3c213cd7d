// SPDX-License-Identifier: Apache-2.0

package containerd

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
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
	content, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(content)) {
		head, tail, _ := strings.Cut(line, " - ")
		point := strings.Fields(head)[4]
		kind := strings.Fields(tail) // type, source, options; proc_pid_mountinfo(5)
		if point != cgroupRoot && !strings.HasPrefix(point, cgroupRoot+"/") {
			continue
		}
		if err := os.MkdirAll(point, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := unix.Mount(kind[1], point, kind[0], 0, withoutFlags(kind[2])); err != nil {
			t.Fatalf("mounting %s at %s: %v", kind[0], point, err)
		}
		before := cgroupsIn(point)
		t.Cleanup(func() {
			left := slices.DeleteFunc(cgroupsIn(point), func(path string) bool { return slices.Contains(before, path) })
			if len(left) > 0 {
				t.Errorf("cgroups left behind: %v", left)
			}
			_ = os.Remove(filepath.Join(point, podCgroups)) // not there, or in use by others
			if err := unix.Unmount(point, 0); err != nil {
				t.Errorf("unmounting %s: %v", point, err)
			}
		})
	}
}

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
