// SPDX-License-Identifier: Apache-2.0

package netdev

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/xdp-chain/xdp-chain/internal/testenv"
)

func TestOpenNetNSGone(t *testing.T) {
	stale := filepath.Join("/run/netns", "stale")
	if err := os.WriteFile(stale, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Remove(stale) })
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	removed := testenv.NewNetNS(t)
	testenv.RemoveNetNS(t, removed)
	zombie := exec.Command("true")
	if err := zombie.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = zombie.Wait() })
	time.Sleep(100 * time.Millisecond)
	for name, path := range map[string]string{
		"empty path":                "",
		"no such path":              "/run/netns/never-made",
		"removed":                   removed,
		"stale file":                stale,
		"below a file":              filepath.Join(stale, "net"),
		"no such process":           "/proc/4194304/ns/net",
		"ended process":             fmt.Sprintf("/proc/%d/ns/net", zombie.Process.Pid),
		"a file on procfs":          "/proc/self/status",
		"namespace of another kind": "/proc/self/ns/mnt",
		"fifo":                      fifo,
		"folder":                    "/run/netns",
	} {
		t.Run(name, func(t *testing.T) {
			n, err := OpenNetNS(path)
			if !errors.Is(err, ErrNetNSGone) {
				t.Errorf("OpenNetNS(%q) = %v, %v; want ErrNetNSGone", path, n, err)
			}
		})
	}
}

func TestNetNSIsTheSameByEveryPath(t *testing.T) {
	path := testenv.NewNetNS(t)
	first, second := open(t, path), open(t, path)
	if first.Cookie() != second.Cookie() {
		t.Errorf("cookies of %s: %d, then %d", path, first.Cookie(), second.Cookie())
	}
	if host := current(t); host.Cookie() == first.Cookie() {
		t.Errorf("%s and the current namespace have the same cookie %d", path, host.Cookie())
	}
	if err := first.Do(func() error {
		inside, err := CurrentNetNS()
		if err != nil {
			return err
		}
		defer inside.Close()
		if inside.Cookie() != first.Cookie() {
			t.Errorf("Do is in the namespace with cookie %d, want %d", inside.Cookie(), first.Cookie())
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
}

// Namespaces made one after another reuse inode numbers at once; cookies must not be,
// by either way of reading them.
func TestCookiesAreUnique(t *testing.T) {
	namespaces := 200
	if testing.Short() {
		namespaces = 40
	}
	read := map[string]func(*NetNS) (uint64, error){
		"SO_NETNS_COOKIE": func(n *NetNS) (uint64, error) { return n.Cookie(), nil },
		"NETLINK_SOCK_DIAG": func(n *NetNS) (cookie uint64, err error) {
			err = n.Do(func() error {
				cookie, err = socketCookie()
				return err
			})
			return cookie, err
		},
	}
	seen := map[string]map[uint64]bool{"SO_NETNS_COOKIE": {}, "NETLINK_SOCK_DIAG": {}}
	for range namespaces {
		path := testenv.NewNetNS(t)
		n, err := OpenNetNS(path)
		if err != nil {
			t.Fatal(err)
		}
		for way, cookie := range read {
			c, err := cookie(n)
			if err != nil || c == 0 || seen[way][c] {
				t.Fatalf("%s gave cookie %d, %v; it is none or was another namespace's", way, c, err)
			}
			seen[way][c] = true
			if again, err := cookie(n); err != nil || again != c {
				t.Fatalf("%s gave cookie %d, then %d, %v", way, c, again, err)
			}
		}
		n.Close()
		testenv.RemoveNetNS(t, path)
	}
}

func TestNetNSConcurrently(t *testing.T) {
	testenv.NoLeaks(t)
	pod, host := pair(t, 1500)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 50 {
				if i, err := pod.NetNS.InterfaceByName("eth0"); err != nil || i.Index != pod.Index {
					t.Errorf("eth0 = %v, %v", i, err)
				}
				if p, err := pod.Peer(host.NetNS); err != nil || p.Index != host.Index {
					t.Errorf("peer = %v, %v", p, err)
				}
				if err := pod.NetNS.Do(func() error { return nil }); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}
