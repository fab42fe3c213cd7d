// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// netnsDir is where ip-netns(8) keeps named namespaces, and runtimes too.
const netnsDir = "/run/netns"

// PodInterface is the interface in the pod, CNI_IFNAME.
const PodInterface = "eth0"

// Pod is a network namespace with a bare veth pair, which costs less than what
// the bridge plugin makes and is the same to a chain.
type Pod struct {
	Name    string // also that of the veth's end on the host
	Path    string
	Ifindex int // of podInterface
	handle  netns.NsHandle
}

// removalGrace is how long the kernel may take to end a pod that was removed.
const removalGrace = 10 * time.Second

// NewPod makes a pod whose veth pair is up. Where one of that name was just removed, it
// waits for its veth pair to go.
func NewPod(name string) (*Pod, error) {
	for deadline := time.Now().Add(removalGrace); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if _, err := net.InterfaceByName(name); err != nil {
			break
		}
	}
	p := &Pod{Name: name, Path: filepath.Join(netnsDir, name)}
	host, err := netns.Get()
	if err != nil {
		return nil, err
	}
	defer host.Close()
	err = onOwnThread(func() error {
		var err error
		if p.handle, err = netns.NewNamed(name); err != nil { // moves the thread
			return err
		}
		attrs := netlink.NewLinkAttrs()
		attrs.Name = PodInterface
		veth := &netlink.Veth{LinkAttrs: attrs, PeerName: name, PeerNamespace: netlink.NsFd(int(host))}
		if err := netlink.LinkAdd(veth); err != nil {
			return fmt.Errorf("adding a veth pair: %w", err)
		}
		if err := quietUp("lo"); err != nil {
			return err
		}
		p.Ifindex, err = up(PodInterface)
		return err
	})
	if err == nil {
		err = quietUp(name)
	}
	if err != nil {
		return nil, fmt.Errorf("making pod %s: %w", name, err)
	}
	return p, nil
}

// quietUp brings an interface up without an IPv6 link-local address, and so
// without packets of its own.
func quietUp(name string) error {
	_, err := up(name)
	return err
}

// up is quietUp, and returns the interface's index.
func up(name string) (int, error) {
	// 1 is IN6_ADDR_GEN_MODE_NONE, uapi/linux/if_link.h. Without IPv6 there is no
	// such file.
	mode := "/proc/sys/net/ipv6/conf/" + name + "/addr_gen_mode"
	if err := os.WriteFile(mode, []byte("1"), 0); err != nil && !os.IsNotExist(err) {
		return 0, err
	}
	l, err := netlink.LinkByName(name)
	if err != nil {
		return 0, fmt.Errorf("finding %s: %w", name, err)
	}
	return l.Attrs().Index, netlink.LinkSetUp(l)
}

// Do runs f on a thread that is in the pod's namespace.
func (p *Pod) Do(f func() error) error {
	return onOwnThread(func() error {
		if err := netns.Set(p.handle); err != nil {
			return fmt.Errorf("entering pod %s: %w", p.Name, err)
		}
		return f()
	})
}

// Remove ends the pod's namespace and with it the veth pair, some time after.
func (p *Pod) Remove() error {
	if err := p.handle.Close(); err != nil {
		return err
	}
	if err := unix.Unmount(p.Path, unix.MNT_DETACH); err != nil {
		return fmt.Errorf("unmounting %s: %w", p.Path, err)
	}
	return os.Remove(p.Path)
}

// RemoveAll ends pods, whether or not one of them cannot be.
func RemoveAll(pods []*Pod) error {
	var errs []error
	for _, p := range pods {
		errs = append(errs, p.Remove())
	}
	return errors.Join(errs...)
}

// onOwnThread runs f on a thread that ends with it, so that f may move it to
// another namespace.
func onOwnThread(f func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked
		done <- f()
	}()
	return <-done
}
