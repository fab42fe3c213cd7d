// SPDX-License-Identifier: Apache-2.0

package testenv

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Each case leaves one thing behind and says by what words it must be reported.
func TestNoLeaksFindsWhatIsLeft(t *testing.T) {
	tests := []struct {
		name string
		want string
		leak func(t *testing.T)
	}{
		{"nothing", "", func(*testing.T) {}},
		{"map in a file", `"left_map" open in process 1`, func(t *testing.T) { newMap(t) }},
		{"program in a file", `"left_prog" open in process 1`, func(t *testing.T) { newProgram(t) }},
		{"pin", "pin /sys/fs/bpf/left", func(t *testing.T) {
			if err := newMap(t).Pin("/sys/fs/bpf/left"); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { os.Remove("/sys/fs/bpf/left") })
		}},
		{"link in a file", "link ", func(t *testing.T) {
			l, err := link.AttachXDP(link.XDPOptions{Program: newProgram(t), Interface: loopback(t)})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { l.Close() })
		}},
		{"program on an interface", "on interface lo of net:[", func(t *testing.T) {
			lo, err := netlink.LinkByName("lo")
			if err != nil {
				t.Fatal(err)
			}
			if err := netlink.LinkSetXdpFd(lo, newProgram(t).FD()); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = netlink.LinkSetXdpFd(lo, -1) })
		}},
		{"record", "file /run/xdp-chain/1-2.json", func(t *testing.T) {
			if err := os.MkdirAll("/run/xdp-chain", 0o700); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { os.RemoveAll("/run/xdp-chain") })
			if err := os.WriteFile("/run/xdp-chain/1-2.json", nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}},
		{"mount", "mount ", func(t *testing.T) {
			dir := t.TempDir()
			if err := unix.Mount("tmpfs", dir, "tmpfs", 0, ""); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = unix.Unmount(dir, 0) })
		}},
		{"named netns", "mount /run/netns/", func(t *testing.T) { NewNetNS(t) }},
		{"thread in a netns", "netns net:[", func(t *testing.T) {
			stop := make(chan struct{})
			moved := make(chan error)
			go func() {
				runtime.LockOSThread()
				moved <- unix.Unshare(unix.CLONE_NEWNET)
				<-stop
			}()
			t.Cleanup(func() { close(stop) })
			if err := <-moved; err != nil {
				t.Fatal(err)
			}
		}},
		{"process", "(sleep)", func(t *testing.T) {
			cmd := exec.Command("sleep", "60")
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
			// Start returns a moment before the process has its arguments.
			for cmdline := []byte(nil); len(cmdline) == 0; time.Sleep(time.Millisecond) {
				var err error
				if cmdline, err = os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", cmd.Process.Pid)); err != nil {
					t.Fatal(err)
				}
			}
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			NoLeaks(t) // and after the cleanups nothing is left
			before, err := traces()
			if err != nil {
				t.Fatal(err)
			}
			tt.leak(t)
			left, err := leftAfter(before, 0)
			if err != nil {
				t.Fatal(err)
			}
			got := strings.Join(left, "\n")
			if tt.want == "" && got != "" || !strings.Contains(got, tt.want) {
				t.Errorf("reported:\n%s\nwant %q in it", got, tt.want)
			}
		})
	}
}

func loopback(t *testing.T) int {
	t.Helper()
	lo, err := net.InterfaceByName("lo")
	if err != nil {
		t.Fatal(err)
	}
	return lo.Index
}

func newMap(t *testing.T) *ebpf.Map {
	t.Helper()
	m, err := ebpf.NewMap(&ebpf.MapSpec{Name: "left_map", Type: ebpf.Array, KeySize: 4, ValueSize: 4, MaxEntries: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

func newProgram(t *testing.T) *ebpf.Program {
	t.Helper()
	p, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Name: "left_prog", Type: ebpf.XDP, License: "GPL",
		Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, 2), asm.Return()},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}
