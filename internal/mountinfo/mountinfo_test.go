// SPDX-License-Identifier: Apache-2.0

package mountinfo

import "testing"

func TestParse(t *testing.T) {
	for _, tt := range []struct {
		line string
		want Mount
		ok   bool
	}{
		{"36 35 0:4 net:[4026532187] /run/netns/a\\040b rw shared:1 - nsfs nsfs rw\n", Mount{"net:[4026532187]", "/run/netns/a b", "nsfs"}, true},
		{"37 35 0:30 / /sys/fs/bpf rw,nosuid - bpf bpf rw,mode=700\n", Mount{"/", "/sys/fs/bpf", "bpf"}, true},
		{"38 35 0:30 /x\\134y /mnt\\011z\\012 rw - ext4 /dev/sda rw\n", Mount{`/x\y`, "/mnt\tz\n", "ext4"}, true},
		{"39 35\n", Mount{}, false},
	} {
		if got, ok := parse(tt.line); got != tt.want || ok != tt.ok {
			t.Errorf("%q: %+v, %t; want %+v, %t", tt.line, got, ok, tt.want, tt.ok)
		}
	}
}

func TestPoints(t *testing.T) {
	points, err := Points(func(m Mount) bool { return m.Type == "proc" && m.Point == "/proc" })
	if err != nil || len(points) == 0 {
		t.Errorf("points %q, %v; want /proc", points, err)
	}
}
