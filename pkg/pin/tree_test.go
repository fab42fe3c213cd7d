// SPDX-License-Identifier: Apache-2.0

package pin_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/xdp-chain/xdp-chain/internal/crashtest"
	"github.com/xdp-chain/xdp-chain/internal/testenv"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
	"github.com/xdp-chain/xdp-chain/pkg/pin"
)

func TestKeysAreTheChainsAlone(t *testing.T) {
	ensure(t)
	other := chain.Key{Cookie: 1 << 40, Ifindex: 7}
	lockForTest(t, key)
	lockForTest(t, other)
	foreign := filepath.Join(tree.Root, "xdp-chain/chains/foreign")
	if err := os.Mkdir(foreign, 0o700); err != nil {
		t.Fatal(err)
	}
	defer os.Remove(foreign)
	keys, err := tree.Keys()
	if err != nil {
		t.Fatal(err)
	}
	want := map[chain.Key]bool{key: true, other: true}
	got := make(map[chain.Key]bool)
	for _, k := range keys {
		got[k] = true
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("keys (-want +got):\n%s", diff)
	}
}

func TestNoTreeIsNoChains(t *testing.T) {
	nowhere := pin.Tree{Root: t.TempDir()}
	if keys, err := nowhere.Keys(); len(keys) != 0 || err != nil {
		t.Errorf("keys: %v, %v; want none", keys, err)
	}
	if networks, err := nowhere.Networks(); len(networks) != 0 || err != nil {
		t.Errorf("networks: %v, %v; want none", networks, err)
	}
	if _, err := nowhere.TryLock(key); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("TryLock: %v; want fs.ErrNotExist", err)
	}
	if _, err := nowhere.OpenCounters(key, 1); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("OpenCounters: %v; want fs.ErrNotExist", err)
	}
	if _, err := nowhere.OpenMap(key, 1, "count", "traffic"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("OpenMap: %v; want fs.ErrNotExist", err)
	}
	if _, err := nowhere.OpenLink(key); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("OpenLink: %v; want fs.ErrNotExist", err)
	}
}

func TestMapPaths(t *testing.T) {
	tree := pin.Tree{Root: "/sys/fs/bpf"}
	ofChain := func(member, name string) (string, error) {
		return tree.MapPath(chain.Key{Cookie: 4097, Ifindex: 2}, member, name)
	}
	for _, tt := range []struct {
		path           func(string, string) (string, error)
		of, name, want string
	}{
		{ofChain, "count", ".rodata.str", "/sys/fs/bpf/xdp-chain/chains/4097-2/maps/count/:rodata:str"},
		{ofChain, "count", "a/b", ""},
		{ofChain, "../x", "traffic", ""},
		{tree.NodeMapPath, "k8s.pods", "acl.rules", "/sys/fs/bpf/xdp-chain/node/k8s:pods/acl:rules"},
		{tree.NodeMapPath, "", "rules", ""},
		{tree.NodeMapPath, "podnet", "a:b", ""},
	} {
		got, err := tt.path(tt.of, tt.name)
		if got != tt.want || (tt.want == "") != errors.Is(err, chain.ErrInvalid) {
			t.Errorf("%q of %q is at %q, %v; want %q", tt.name, tt.of, got, err, tt.want)
		}
	}
}

// checkFolders compares what is in our part of a bpffs with what Ensure makes.
func checkFolders(t *testing.T, at pin.Tree) {
	t.Helper()
	top := filepath.Join(at.Root, "xdp-chain")
	got := listTree(t, top)
	if info, err := os.Stat(top); err == nil {
		got["."] = info.Mode()
	}
	const private = fs.ModeDir | 0o700
	if diff := cmp.Diff(map[string]fs.FileMode{".": private, "chains": private, "node": private, "netns": private}, got); diff != "" {
		t.Errorf("folders (-want +got):\n%s", diff)
	}
}

// atRoot makes a folder that a test can mount on; whatever is mounted there comes
// off when the test ends.
func atRoot(t *testing.T) pin.Tree {
	t.Helper()
	root := t.TempDir()
	t.Cleanup(func() {
		for unix.Unmount(root, unix.MNT_DETACH) == nil {
		}
	})
	return pin.Tree{Root: root}
}

// mounts counts the file systems mounted on a path, one over the other.
func mounts(t *testing.T, path string) int {
	t.Helper()
	info, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	return strings.Count(string(info), " "+path+" ")
}

func TestEnsureMountsOnce(t *testing.T) {
	testenv.NoLeaks(t)
	at := atRoot(t)
	for range 2 {
		if err := at.Ensure(); err != nil {
			t.Fatal(err)
		}
		if n := mounts(t, at.Root); n != 1 {
			t.Fatalf("%d file systems mounted on %s, want 1", n, at.Root)
		}
		checkFolders(t, at)
	}
}

func ensureAtRoot() error { return pin.Tree{Root: os.Getenv("ROOT")}.Ensure() }

// TestEnsureWaitsForWhoMounts has two processes past their first look, where
// neither has found a bpffs.
func TestEnsureWaitsForWhoMounts(t *testing.T) {
	testenv.NoLeaks(t)
	at := atRoot(t)
	covered, err := os.Open(at.Root)
	if err != nil {
		t.Fatal(err)
	}
	defer covered.Close()
	if err := unix.Flock(int(covered.Fd()), unix.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	waiting := crashtest.Command("ensure", "ROOT="+at.Root)
	if err := waiting.Start(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(100 * time.Millisecond)
	if n := mounts(t, at.Root); n != 0 {
		t.Error("did not wait for who mounts")
	}
	if err := unix.Mount("bpf", at.Root, "bpf", 0, ""); err != nil {
		t.Fatal(err)
	}
	if err := unix.Flock(int(covered.Fd()), unix.LOCK_UN); err != nil {
		t.Fatal(err)
	}
	if err := waiting.Wait(); err != nil {
		t.Error(err)
	}
	if n := mounts(t, at.Root); n != 1 {
		t.Errorf("%d file systems mounted on %s, want 1", n, at.Root)
	}
}

// TestEnsureDoesNotWaitForever has somebody keep the folder locked that is to be
// covered, as any user could.
func TestEnsureDoesNotWaitForever(t *testing.T) {
	testenv.KernelIndependent(t)
	testenv.NoLeaks(t)
	at := atRoot(t)
	covered, err := os.Open(at.Root)
	if err != nil {
		t.Fatal(err)
	}
	defer covered.Close()
	if err := unix.Flock(int(covered.Fd()), unix.LOCK_SH); err != nil {
		t.Fatal(err)
	}
	err = at.Ensure()
	var locked *pin.LockedError
	if !errors.As(err, &locked) || !errors.Is(err, pin.ErrLocked) || locked.HolderPID != os.Getpid() || !strings.Contains(err.Error(), at.Root) {
		t.Errorf("got %v, want a LockedError that names this process", err)
	}
	if n := mounts(t, at.Root); n != 0 {
		t.Errorf("%d file systems mounted without the lock", n)
	}
}

func TestEnsureMountsOnceForManyProcesses(t *testing.T) {
	testenv.ShardByKernel(t, 2)
	testenv.NoLeaks(t)
	for range 5 {
		at := atRoot(t)
		var children []*exec.Cmd
		for range 8 {
			cmd := crashtest.Command("ensure", "ROOT="+at.Root)
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			children = append(children, cmd)
		}
		for _, cmd := range children {
			if err := cmd.Wait(); err != nil {
				t.Error(err)
			}
		}
		if n := mounts(t, at.Root); n != 1 {
			t.Errorf("%d file systems mounted on %s, want 1", n, at.Root)
		}
	}
}

func TestEnsureKilledIsFinishedByTheNext(t *testing.T) {
	at := pin.Tree{Root: filepath.Join(t.TempDir(), "root")}
	if err := os.Mkdir(at.Root, 0o700); err != nil {
		t.Fatal(err)
	}
	crashtest.AtSome(t, 20, "ensure", []string{"ROOT=" + at.Root}, func(*testing.T) {}, func(t *testing.T) {
		if err := at.Ensure(); err != nil {
			t.Error(err)
		}
		if n := mounts(t, at.Root); n != 1 {
			t.Errorf("%d file systems mounted on %s, want 1", n, at.Root)
		}
		checkFolders(t, at)
		if err := unix.Unmount(at.Root, 0); err != nil {
			t.Error(err)
		}
	})
}

func TestEnsureClosesFoldersToOthers(t *testing.T) {
	at := atRoot(t)
	if err := at.Ensure(); err != nil {
		t.Fatal(err)
	}
	for _, folder := range []string{"xdp-chain", "xdp-chain/chains", "xdp-chain/node", "xdp-chain/netns"} {
		if err := os.Chmod(filepath.Join(at.Root, folder), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := at.Ensure(); err != nil {
		t.Fatal(err)
	}
	checkFolders(t, at)
}

// ensureRefused succeeds if Ensure is refused in the way that it should be.
func ensureRefused() error {
	root := os.Getenv("ROOT")
	err := pin.Tree{Root: root}.Ensure()
	if !errors.Is(err, pin.ErrNoBPFFS) || !strings.Contains(err.Error(), "mount -t bpf bpf "+root) {
		return fmt.Errorf("got %w; want ErrNoBPFFS with the command to run", err)
	}
	return nil
}

func TestEnsureSaysHowToMount(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, root string
		uid        uint32
	}{
		{"missing folder", filepath.Join(t.TempDir(), "missing"), 0},
		{"file", file, 0},
		{"no right to mount", t.TempDir(), 65534},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cmd := crashtest.Command("ensure-not", "ROOT="+tt.root)
			cmd.SysProcAttr.Credential = &syscall.Credential{Uid: tt.uid, Gid: tt.uid}
			if err := cmd.Run(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestMountableMountsNothing(t *testing.T) {
	testenv.NoLeaks(t)
	at := atRoot(t)
	if on, err := at.Mounted(); on || err != nil {
		t.Errorf("mounted: %v, %v", on, err)
	}
	if err := at.Mountable(); err != nil {
		t.Errorf("it can be mounted, as root: %v", err)
	}
	if got := mounts(t, at.Root); got != 0 {
		t.Errorf("%d file systems are mounted there", got)
	}
	nowhere := pin.Tree{Root: filepath.Join(at.Root, "nowhere")}
	if err := nowhere.Mountable(); !errors.Is(err, pin.ErrNoBPFFS) {
		t.Errorf("without a folder to mount on: %v", err)
	}
}
