// SPDX-License-Identifier: Apache-2.0

package cnitool

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/xdp-chain/xdp-chain/internal/crashtest"
	"github.com/xdp-chain/xdp-chain/internal/plugintest"
	"github.com/xdp-chain/xdp-chain/internal/testenv"
)

// A hat is the capabilities that the processes of a container have.
type hat []int

// plain is what containerd and Docker give a container that asks for nothing:
// defaultUnixCaps in containerd's pkg/oci/spec.go.
var plain = hat{
	unix.CAP_CHOWN, unix.CAP_DAC_OVERRIDE, unix.CAP_FSETID, unix.CAP_FOWNER, unix.CAP_MKNOD, unix.CAP_NET_RAW, unix.CAP_SETGID,
	unix.CAP_SETUID, unix.CAP_SETFCAP, unix.CAP_SETPCAP, unix.CAP_NET_BIND_SERVICE, unix.CAP_SYS_CHROOT, unix.CAP_KILL, unix.CAP_AUDIT_WRITE,
}

// The hats of the suites about what a pod can do to its chain: what the manifest adds
// under securityContext.capabilities.
var (
	netAdmin    = append(slices.Clip(plain), unix.CAP_NET_ADMIN)
	netAdminBPF = append(slices.Clip(netAdmin), unix.CAP_BPF)
	privileged  = func() (all hat) {
		for c := range unix.CAP_LAST_CAP + 1 {
			all = append(all, c)
		}
		return all
	}()
)

// container is a process that lives in a pod as the runtime would have it: uid 0, the
// hat's capabilities and no others, mounts and process ids of its own, no bpffs and
// nothing of /run. It makes the attempts that it is told.
type container struct {
	cmd    *exec.Cmd
	orders io.WriteCloser
	report *bufio.Reader
}

// What a container's environment says: its hat, and what it is to attempt.
const (
	hatEnv     = "CNITOOL_HAT"
	attemptEnv = "CNITOOL_ATTEMPT"
)

// children are the bodies of this test binary's children.
var children = map[string]func() error{"container": contain, "attempt": attempt}

// otherNetNS is the descriptor by which a container can name a network namespace that is
// not the pod's: however a pod comes by one, it is no more than a number to it.
const otherNetNS = 3

// contains starts a container in the network namespace that the calling thread is in. It
// ends with the test.
func contains(t *testing.T, h hat, flags uintptr, other string) *container {
	t.Helper()
	worn, err := json.Marshal(h)
	if err != nil {
		t.Fatal(err)
	}
	cmd := crashtest.Command("container", hatEnv+"="+string(worn))
	cmd.SysProcAttr.Cloneflags = unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWIPC | unix.CLONE_NEWUTS | flags
	if flags&unix.CLONE_NEWUSER != 0 {
		asRootOf(cmd.SysProcAttr, syscall.SysProcIDMap{HostID: 100000, Size: 65536})
	}
	ns, err := os.Open(other)
	if err != nil {
		t.Fatal(err)
	}
	defer ns.Close()
	cmd.ExtraFiles = []*os.File{ns}
	cmd.Stdout = nil
	c := &container{cmd: cmd}
	if c.orders, err = cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	c.report = bufio.NewReader(out)
	if err := cmd.Start(); err != nil {
		t.Fatalf("starting a container: %v", err)
	}
	t.Cleanup(func() {
		c.orders.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("a container ended: %v", err)
		}
	})
	if _, err := c.report.ReadString('\n'); err != nil {
		t.Fatalf("a container says nothing: %v", err)
	}
	return c
}

// in starts a container in a pod; other is the path of a network namespace that it
// holds.
func (h hat) in(t *testing.T, p *plugintest.Pod, other string) (c *container) {
	t.Helper()
	testenv.InNetNS(t, p.NetNS, func() error {
		c = contains(t, h, 0, other)
		return nil
	})
	return c
}

// asRootOf makes a child root in its new user namespace, and somebody without rights
// outside of it.
func asRootOf(attr *syscall.SysProcAttr, ids syscall.SysProcIDMap) {
	attr.UidMappings, attr.GidMappings = []syscall.SysProcIDMap{ids}, []syscall.SysProcIDMap{ids}
	attr.GidMappingsEnableSetgroups = true
	attr.Credential = &syscall.Credential{Uid: 0, Gid: 0}
}

var ownedPods atomic.Uint32

// owning makes a pod as Kubernetes does for hostUsers: false, with a user namespace that
// owns its network namespace, and a container of it.
func (h hat) owning(t *testing.T, other string) (*plugintest.Pod, *container) {
	t.Helper()
	c := contains(t, h, unix.CLONE_NEWUSER|unix.CLONE_NEWNET, other)
	n := ownedPods.Add(1)
	p := &plugintest.Pod{
		ID: fmt.Sprintf("owned-%d", n), NetNS: fmt.Sprintf("/run/netns/owned-%d", n), Ifname: "eth0",
		Host: fmt.Sprintf("owned%d", n), Args: fmt.Sprintf("IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=owned-%d", n),
	}
	if err := os.WriteFile(p.NetNS, nil, 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { testenv.RemoveNetNS(t, p.NetNS) })
	if err := unix.Mount(fmt.Sprintf("/proc/%d/ns/net", c.cmd.Process.Pid), p.NetNS, "", unix.MS_BIND, ""); err != nil {
		t.Fatal(err)
	}
	testenv.Veth(t, p.NetNS, p.Ifname, p.Host, 0)
	return p, c
}

// outcome is how an attempt ended, as the kernel answered it.
type outcome struct {
	Errno unix.Errno // 0: it worked
	Text  string
}

// attempts has the container make an attempt, in a process of its own. A stranger is one
// in a user namespace of its own, as anybody may make where the node allows that: in
// there it has every capability.
func (c *container) attempts(t *testing.T, name string, stranger bool) outcome {
	t.Helper()
	if stranger {
		name = "stranger " + name
	}
	if _, err := fmt.Fprintln(c.orders, name); err != nil {
		t.Fatal(err)
	}
	line, err := c.report.ReadString('\n')
	if err != nil {
		t.Fatalf("attempt %q: no report: %v", name, err)
	}
	var o outcome
	if err := json.Unmarshal([]byte(line), &o); err != nil {
		t.Fatalf("attempt %q: report %q: %v", name, line, err)
	}
	if o.Errno == 0 && o.Text != "" {
		t.Fatalf("attempt %q: %s", name, o.Text)
	}
	return o
}

// contain is the first process of a container. Its main goroutine is on the main
// thread, and so is all that is set for a thread alone and handed on to children.
func contain() error {
	for _, m := range []struct{ fstype, target string }{
		{"", "/"}, {"proc", "/proc"}, {"tmpfs", "/run"}, {"tmpfs", "/sys/fs/bpf"},
	} {
		flags := uintptr(0)
		if m.fstype == "" {
			flags = unix.MS_REC | unix.MS_PRIVATE
		}
		if err := unix.Mount(m.fstype, m.target, m.fstype, flags, ""); err != nil {
			return fmt.Errorf("mounting %q at %s: %w", m.fstype, m.target, err)
		}
	}
	var worn hat
	if err := json.Unmarshal([]byte(os.Getenv(hatEnv)), &worn); err != nil {
		return err
	}
	for c := range unix.CAP_LAST_CAP + 1 {
		if slices.Contains(worn, c) {
			continue
		}
		// A program that uid 0 starts has what is left in the bounding set, capabilities(7).
		// Kernels do not know the youngest capabilities.
		if err := unix.Prctl(unix.PR_CAPBSET_DROP, uintptr(c), 0, 0, 0); err != nil && !errors.Is(err, unix.EINVAL) {
			return fmt.Errorf("dropping capability %d: %w", c, err)
		}
	}
	fmt.Println("ready")
	for orders := bufio.NewScanner(os.Stdin); orders.Scan(); {
		if err := run(orders.Text()); err != nil {
			return err
		}
	}
	return nil
}

// run makes one attempt in a child, whose report is this process's.
func run(order string) error {
	name, stranger := strings.CutPrefix(order, "stranger ")
	cmd := crashtest.Command("attempt", attemptEnv+"="+name)
	if stranger {
		cmd.SysProcAttr.Cloneflags = unix.CLONE_NEWUSER
		asRootOf(cmd.SysProcAttr, syscall.SysProcIDMap{HostID: 65534, Size: 1})
	}
	cmd.Stdout = os.Stdout
	cmd.ExtraFiles = []*os.File{os.NewFile(otherNetNS, "other")}
	return cmd.Run()
}

// attempt is the child.
func attempt() error {
	name := os.Getenv(attemptEnv)
	body, known := attemptBodies[name]
	if !known {
		return fmt.Errorf("no attempt %q", name)
	}
	var o outcome
	if err := body(); err != nil {
		o.Text = err.Error()
		errors.As(err, &o.Errno)
	}
	return json.NewEncoder(os.Stdout).Encode(o)
}
