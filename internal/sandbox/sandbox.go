// SPDX-License-Identifier: Apache-2.0

// Package sandbox gives a program that changes a node a node of its own: a
// process with private mount, network and process-id namespaces, in which the
// fixed paths of this project (/sys/fs/bpf, /run/xdp-chain, /var/lib/xdp-chain,
// /run/netns) are empty and the "host's" network namespace holds lo alone. Tests
// (package testenv) and the benchmark run in it.
//
// # Mechanism
//
// [Enter] starts the running binary once more in new namespaces. A process cannot
// move itself there: the Go runtime has threads before main runs, and unshare
// moves one thread only. The first process then only waits: it hands signals on
// and ends with the child's exit status. The child is process 1 of its pid
// namespace, so whatever it forgets to stop dies with it.
//
// # Invariants
//
// Nothing here writes outside of the namespaces; /tmp and the checkout are the
// machine's.
//
// # Traps
//
// BPF objects belong to no namespace: every process of the machine sees every id,
// and what is left pinned or attached goes with the namespaces, not before.
//
// Importing the package ties the main goroutine to the main thread.
package sandbox

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"syscall"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// ErrUnavailable is wrapped by the errors of a process that is not given namespaces.
var ErrUnavailable = errors.New("no namespaces to run in")

// insideEnv is set in the namespaces. Workers of go test -fuzz inherit it from
// their coordinator and so run where the coordinator does.
const insideEnv = "XDP_CHAIN_SANDBOX"

// The main goroutine keeps the main thread. Otherwise a goroutine that changes its
// thread's network namespace and ends could be on that thread, which cannot end
// with it: /proc/self/ns/net would show the wrong namespace from then on.
func init() { runtime.LockOSThread() }

// Inside reports whether this process runs in the namespaces.
func Inside() bool { return os.Getenv(insideEnv) != "" }

// Enter runs the program in namespaces of its own, with the same arguments. It
// returns nil in there, and in the process that called it never: that one ends
// when the program does. Errors satisfy errors.Is(err, [ErrUnavailable]) where
// nothing was run, or say what could not be prepared in the namespaces.
func Enter() error {
	if !Inside() {
		status, err := runInside()
		if err != nil {
			return err
		}
		os.Exit(status)
	}
	if os.Getpid() != 1 {
		return nil // process 1 has prepared everything
	}
	if err := mountNode(); err != nil {
		return fmt.Errorf("preparing the namespaces: %w", err)
	}
	return nil
}

// runInside runs this binary with the same arguments in new namespaces and
// returns its exit status.
func runInside() (int, error) {
	if os.Geteuid() != 0 {
		return 0, fmt.Errorf("%w: needs root", ErrUnavailable)
	}
	self, err := os.Executable()
	if err != nil {
		return 0, fmt.Errorf("%w: finding this binary: %w", ErrUnavailable, err)
	}
	cmd := exec.Command(self, os.Args[1:]...)
	cmd.Args[0] = os.Args[0]
	cmd.Env = append(os.Environ(), insideEnv+"=1")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: unix.CLONE_NEWNS | unix.CLONE_NEWNET | unix.CLONE_NEWPID,
		// Sent when the thread that forked ends: the main thread, see init.
		Pdeathsig: unix.SIGKILL,
	}
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, unix.SIGINT, unix.SIGTERM, unix.SIGHUP, unix.SIGQUIT)
	if err := cmd.Start(); err != nil {
		return 0, fmt.Errorf("%w: starting in new ones: %w", ErrUnavailable, err)
	}
	go func() {
		for s := range signals {
			_ = cmd.Process.Signal(s) // it ended already: Wait says so
		}
	}()
	return status(cmd.Wait()), nil
}

// status is a shell's rendering of how a command ended.
func status(err error) int {
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0
	case !errors.As(err, &exit):
		fmt.Fprintln(os.Stderr, "sandbox: waiting for the program in the namespaces:", err)
		return 1
	}
	if ws, ok := exit.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		fmt.Fprintln(os.Stderr, "sandbox: the program in the namespaces was ended by", ws.Signal())
		return 128 + int(ws.Signal())
	}
	return exit.ExitCode()
}

// mountNode turns fresh namespaces into an empty node. It runs in process 1 of them.
func mountNode() error {
	// Otherwise every mount below would show up on the machine.
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("making / private: %w", err)
	}
	for _, m := range []struct{ fstype, target, options string }{
		{"proc", "/proc", ""}, // of the new pid namespace
		{"sysfs", "/sys", ""}, // of the new network namespace
		{"bpf", "/sys/fs/bpf", "mode=0700"},
		{"tmpfs", "/run", "mode=0755"},
	} {
		if err := unix.Mount(m.fstype, m.target, m.fstype, 0, m.options); err != nil {
			return fmt.Errorf("mounting %s at %s: %w", m.fstype, m.target, err)
		}
	}
	if err := os.Mkdir("/run/netns", 0o755); err != nil {
		return err
	}
	if err := hide("/var/lib", "xdp-chain", "cni"); err != nil {
		return fmt.Errorf("hiding the machine's state below /var/lib: %w", err)
	}
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return fmt.Errorf("finding lo: %w", err)
	}
	return netlink.LinkSetUp(lo)
}

// hide puts a tmpfs over dir that shows all of dir except the named entries,
// which can then be made anew without a trace on the machine's disk.
func hide(dir string, names ...string) error {
	hidden := make(map[string]bool, len(names))
	for _, name := range names {
		hidden[name] = true
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	// A tmpfs over dir would hide the sources of the bind mounts, so it is filled
	// elsewhere and moved there.
	const staging = "/run/sandbox"
	if err := os.Mkdir(staging, 0o755); err != nil {
		return err
	}
	if err := unix.Mount("tmpfs", staging, "tmpfs", 0, "mode=0755"); err != nil {
		return fmt.Errorf("mounting tmpfs at %s: %w", staging, err)
	}
	for _, entry := range entries {
		if hidden[entry.Name()] {
			continue
		}
		if err := show(filepath.Join(dir, entry.Name()), filepath.Join(staging, entry.Name()), entry); err != nil {
			return err
		}
	}
	if err := unix.Mount(staging, dir, "", unix.MS_MOVE, ""); err != nil {
		return fmt.Errorf("moving %s to %s: %w", staging, dir, err)
	}
	return os.Remove(staging)
}

// show makes target the same as source: a link is copied, a folder bound. Single
// files of /var/lib are of no interest to any network plugin.
func show(source, target string, entry os.DirEntry) error {
	switch entry.Type() {
	case os.ModeSymlink:
		to, err := os.Readlink(source)
		if err != nil {
			return err
		}
		return os.Symlink(to, target)
	case os.ModeDir:
		if err := os.Mkdir(target, 0o755); err != nil {
			return err
		}
		if err := unix.Mount(source, target, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
			return fmt.Errorf("binding %s at %s: %w", source, target, err)
		}
	}
	return nil
}
