// SPDX-License-Identifier: Apache-2.0

package pin

import (
	"errors"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/xdp-chain/xdp-chain/pkg/chain"
)

func TestEntryName(t *testing.T) {
	for _, tt := range []struct{ name, entry string }{
		{"rules", "rules"},
		{".rodata", ":rodata"},
		{".data.percpu", ":data:percpu"},
		{"k8s.pod-network_1", "k8s:pod-network_1"},
		{"..", "::"},
		{strings.Repeat("x", 255), strings.Repeat("x", 255)},
	} {
		entry, err := entryName(tt.name)
		if err != nil || entry != tt.entry {
			t.Errorf("entryName(%q) = %q, %v; want %q", tt.name, entry, err, tt.entry)
		}
		if back := nameOf(entry); back != tt.name {
			t.Errorf("nameOf(%q) = %q; want %q", entry, back, tt.name)
		}
	}
}

func TestEntryNameRefuses(t *testing.T) {
	for _, name := range []string{"", "a/b", "../x", "a:b", "a\x00b", strings.Repeat("x", 256)} {
		if entry, err := entryName(name); !errors.Is(err, chain.ErrInvalid) {
			t.Errorf("entryName(%q) = %q, %v; want chain.ErrInvalid", name, entry, err)
		}
	}
}

func TestFindFlock(t *testing.T) {
	const locks = `1: POSIX  ADVISORY  READ  100 00:3f:81 128 128
2: OFDLCK ADVISORY  WRITE -1 00:3f:81 0 EOF
3: -> FLOCK  ADVISORY  WRITE 101 00:3f:81 0 EOF
4: FLOCK  ADVISORY  WRITE 102 00:3f:810 0 EOF
5: FLOCK  ADVISORY  WRITE 103 00:3f:81 0 EOF
6: FLOCK  ADVISORY  WRITE 104 00:1002a:81 0 EOF
7: FLOCK  ADVISORY  WRITE 105 fd:03:81 0 EOF
8: FLOCK  ADVISORY  WRITE 0 00:40:81 0 EOF
9: FLOCK
`
	for _, tt := range []struct {
		name         string
		major, minor uint32
		inode        uint64
		want         int
	}{
		{"holder among waiters and other kinds", 0, 0x3f, 81, 103},
		{"inode that begins the same", 0, 0x3f, 810, 102},
		{"anonymous device past 8 bits", 0, 0x1002a, 81, 104},
		{"device with a major", 0xfd, 3, 81, 105},
		{"process that cannot be seen", 0, 0x40, 81, 0},
		{"nobody", 0, 0x3f, 8, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := findFlock(strings.NewReader(locks), unix.Mkdev(tt.major, tt.minor), tt.inode)
			if got != tt.want {
				t.Errorf("got process %d, want %d", got, tt.want)
			}
		})
	}
}
