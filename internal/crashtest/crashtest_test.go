// SPDX-License-Identifier: Apache-2.0

package crashtest_test

import (
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"

	"github.com/xdp-chain/xdp-chain/internal/crashtest"
	"github.com/xdp-chain/xdp-chain/internal/testenv"
)

const folders = 3

func TestMain(m *testing.M) {
	crashtest.Child(map[string]func() error{
		"folders": func() error {
			for i := range folders {
				if err := makeFolder(i); err != nil {
					return err
				}
			}
			return nil
		},
		"folders-by-threads": func() error {
			for i := range folders {
				if err := onNewThread(func() error { return makeFolder(i) }); err != nil {
					return err
				}
			}
			return nil
		},
		"interface": func() error {
			return onNewThread(func() error {
				lo, err := netlink.LinkByName("lo")
				if err != nil {
					return err
				}
				if err := netlink.LinkSetMTU(lo, firstMTU); err != nil {
					return err
				}
				return netlink.LinkSetMTU(lo, secondMTU)
			})
		},
	})
	testenv.Main(m)
}

func makeFolder(i int) error {
	return os.Mkdir(filepath.Join(os.Getenv("WHERE"), strconv.Itoa(i)), 0o700)
}

// onNewThread runs f on a thread that ends with it.
func onNewThread(f func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread()
		done <- f()
	}()
	return <-done
}

func TestAtEachKillsBeforeEachChange(t *testing.T) {
	for _, body := range []string{"folders", "folders-by-threads"} {
		var where string
		link := filepath.Join(t.TempDir(), "where")
		var left []int
		crashtest.AtEach(t, body, []string{"WHERE=" + link}, func(t *testing.T) {
			where = t.TempDir()
			_ = os.Remove(link) // of the subtest before
			if err := os.Symlink(where, link); err != nil {
				t.Fatal(err)
			}
		}, func(t *testing.T) {
			entries, err := os.ReadDir(where)
			if err != nil {
				t.Fatal(err)
			}
			left = append(left, len(entries))
		})
		if diff := cmp.Diff([]int{0, 1, 2, 3}, left); diff != "" {
			t.Errorf("%s: folders left by each run (-want +got):\n%s", body, diff)
		}
	}
}

const oldMTU, firstMTU, secondMTU = 65536, 1400, 1300

func TestAtEachKillsBeforeEachNetlinkChange(t *testing.T) {
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		t.Fatal(err)
	}
	var left []int
	crashtest.AtEach(t, "interface", nil, func(t *testing.T) {
		if err := netlink.LinkSetMTU(lo, oldMTU); err != nil {
			t.Fatal(err)
		}
	}, func(t *testing.T) {
		now, err := netlink.LinkByName("lo")
		if err != nil {
			t.Fatal(err)
		}
		left = append(left, now.Attrs().MTU)
	})
	if diff := cmp.Diff([]int{oldMTU, firstMTU, secondMTU}, left); diff != "" {
		t.Errorf("MTUs left by each run (-want +got):\n%s", diff)
	}
}
