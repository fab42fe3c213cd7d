// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/containernetworking/cni/libcni"
	"github.com/spf13/cobra"

	"github.com/xdp-chain/xdp-chain/internal/config"
	"github.com/xdp-chain/xdp-chain/internal/node"
	"github.com/xdp-chain/xdp-chain/internal/node/inspect"
	"github.com/xdp-chain/xdp-chain/pkg/netdev"
)

// netnsDir is where ip-netns(8) keeps named namespaces.
const netnsDir = "/run/netns"

// target is the interface, or the network namespace, that the flags --iface, --netns,
// --pid and --pod name.
type target struct {
	cmd   *cobra.Command
	iface string
	netns string // a path, or a name in netnsDir
	pid   int
	pod   string // NAMESPACE/NAME
}

// addTarget gives a subcommand the flags that say where an interface is.
func addTarget(cmd *cobra.Command) *target {
	t := &target{cmd: cmd}
	flags := cmd.Flags()
	flags.StringVar(&t.iface, "iface", "", "network `interface`")
	flags.StringVar(&t.netns, "netns", "", "network namespace it is in: a `path`, or a name as ip netns has it")
	flags.IntVar(&t.pid, "pid", 0, "`process` in whose network namespace it is")
	flags.StringVar(&t.pod, "pod", "", "`pod` in whose network namespace it is, as NAMESPACE/NAME")
	return t
}

// given tells whether any of the flags is there.
func (t *target) given() bool { return t.iface != "" || t.namesNetNS() }

// namesNetNS tells whether a namespace is named.
func (t *target) namesNetNS() bool { return len(t.netNSFlags()) > 0 }

func (t *target) netNSFlags() []string {
	var set []string
	for _, name := range []string{"netns", "pid", "pod"} {
		if t.cmd.Flags().Changed(name) {
			set = append(set, "--"+name)
		}
	}
	return set
}

// String says in words which interface it is.
func (t *target) String() string {
	if !t.namesNetNS() {
		return t.iface
	}
	return t.iface + " in " + t.netNSWords()
}

// netNSWords says in words which network namespace is named.
func (t *target) netNSWords() string {
	switch {
	case t.pod != "":
		return "pod " + t.pod
	case t.pid != 0:
		return fmt.Sprintf("the network namespace of process %d", t.pid)
	}
	return "network namespace " + t.netns
}

// resolve finds the interface's namespace. The interface has to be named, and may yet
// turn out not to be there.
func (t *target) resolve(n *node.Node) (node.Place, error) {
	if t.iface == "" {
		return node.Place{}, errors.New("which interface? Name it with --iface, such as --iface eth0")
	}
	path, err := t.netNS(n)
	return node.Place{NetNS: path, Interface: t.iface}, err
}

// netNS returns the path of the namespace; empty is the command's own.
func (t *target) netNS(n *node.Node) (string, error) {
	switch set := t.netNSFlags(); {
	case len(set) == 0:
		return "", nil
	case len(set) > 1:
		return "", fmt.Errorf("%s exclude each other; each of them alone says which network namespace", strings.Join(set, " and "))
	case set[0] == "--pid":
		return netNSOfProcess(t.pid)
	case set[0] == "--pod":
		return netNSOfPod(n, t.pod)
	}
	return netNSAt(t.netns)
}

func netNSAt(pathOrName string) (string, error) {
	if pathOrName == "" {
		return "", errors.New("--netns is empty; give a path, or a name that ip netns lists")
	}
	if strings.Contains(pathOrName, "/") {
		return filepath.Abs(pathOrName)
	}
	path := filepath.Join(netnsDir, pathOrName)
	if _, err := os.Lstat(path); err != nil {
		return "", absent(fmt.Errorf("no network namespace %q in %s; ip netns lists the names there are, and --netns takes a path, too", pathOrName, netnsDir))
	}
	return path, nil
}

func netNSOfProcess(pid int) (string, error) {
	if pid <= 0 {
		return "", fmt.Errorf("--pid %d is no process; give the id of one that runs", pid)
	}
	path := fmt.Sprintf("/proc/%d/ns/net", pid)
	if _, err := os.Stat(path); err != nil {
		return "", absent(fmt.Errorf("no process %d runs; give --pid the id of one that does, as ps shows them", pid))
	}
	return path, nil
}

// filter tells which chains the flags are about: that of an interface, those in a network
// namespace, those of a pod, the host's end of its veth included, or all where no flag is
// there. An interface or a namespace that is not there is an error.
func (t *target) filter(n *node.Node) (func(inspect.Chain) bool, error) {
	if !t.given() {
		return func(inspect.Chain) bool { return true }, nil
	}
	path, err := t.netNS(n)
	if t.cmd.Flags().Changed("pod") {
		return t.filterPod(n, path, err)
	}
	if err != nil {
		return nil, err
	}
	ns, err := openNetNS(path)
	if err != nil {
		return nil, failed(err)
	}
	defer ns.Close()
	if t.iface == "" {
		cookie := ns.Cookie()
		return func(c inspect.Chain) bool { return c.Key.Cookie == cookie }, nil
	}
	iface, err := ns.InterfaceByName(t.iface)
	if err != nil {
		return nil, failed(err)
	}
	key := iface.Key()
	return func(c inspect.Chain) bool { return c.Key == key }, nil
}

// filterPod takes what the pod has on either end of its veths, and what others have in its
// namespace. path is that, if notFound is nil; else it is enough that the pod has a chain.
func (t *target) filterPod(n *node.Node, path string, notFound error) (func(inspect.Chain) bool, error) {
	if err := checkPod(t.pod); err != nil {
		return nil, err
	}
	cookie := cookieAt(path)
	takes := func(c inspect.Chain) bool {
		its := slices.Contains(podsOf(c.Owners), t.pod) || cookie != 0 && c.Key.Cookie == cookie
		return its && (t.iface == "" || c.Interface == t.iface)
	}
	if notFound != nil {
		chains, _ := inspect.List(n.Node) // what is wrong with it shows when it is shown
		if !slices.ContainsFunc(chains, takes) {
			return nil, notFound
		}
	}
	return takes, nil
}

// openNetNS opens the namespace at a path; empty is the process's own.
func openNetNS(path string) (*netdev.NetNS, error) {
	if path == "" {
		return netdev.CurrentNetNS()
	}
	return netdev.OpenNetNS(path)
}

// checkPod returns nil for NAMESPACE/NAME.
func checkPod(pod string) error {
	namespace, name, _ := strings.Cut(pod, "/")
	if namespace == "" || name == "" || strings.Contains(name, "/") {
		return fmt.Errorf("--pod %q is no pod; give it as NAMESPACE/NAME, such as default/web-0", pod)
	}
	return nil
}

// netNSOfPod finds a pod's network namespace by its chains, and where it has none by the
// runtime's cached CNI results.
func netNSOfPod(n *node.Node, pod string) (string, error) {
	if err := checkPod(pod); err != nil {
		return "", err
	}
	paths, unreadable := recordedNetNS(n, pod)
	if len(paths) == 0 {
		var err error
		paths, err = cachedNetNS(pod)
		unreadable = errors.Join(unreadable, err)
	}
	switch {
	case len(paths) == 1:
		return paths[0], nil
	case len(paths) > 1:
		return "", unread(fmt.Errorf("pod %s has %d network namespaces, all but one of earlier sandboxes: give --netns one of %s", pod, len(paths), strings.Join(paths, ", ")))
	case unreadable != nil:
		return "", unread(fmt.Errorf("pod %s was not found in what could be read: %w", pod, unreadable))
	}
	return "", absent(fmt.Errorf("no pod %s on this node: neither a chain nor a cached CNI result is of it; --pid with one of its processes, or --netns, leads there if it runs (on the host's network, leave --pod out)", pod))
}

// recordedNetNS returns the namespaces in which a pod has chains.
func recordedNetNS(n *node.Node, pod string) ([]string, error) {
	chains, err := inspect.List(n.Node)
	var paths []string
	for _, c := range chains {
		if c.Side == config.PodSide && slices.Contains(podsOf(c.Owners), pod) && !slices.Contains(paths, c.NetNS) && cookieAt(c.NetNS) == c.Key.Cookie {
			paths = append(paths, c.NetNS)
		}
	}
	return paths, err
}

// cachedNetNS returns the namespaces that runtimes have attached for a pod.
func cachedNetNS(pod string) ([]string, error) {
	namespace, name, _ := strings.Cut(pod, "/")
	var paths []string
	var errs []error
	// Below results libcni keeps what each attachment got: in its default folder, and in the
	// one that runtimes had before.
	for _, folder := range []string{libcni.CacheDir, libcni.CacheDir + "/cache"} {
		attachments, err := libcni.NewCNIConfigWithCacheDir(nil, folder, nil).GetCachedAttachments("")
		errs = append(errs, err)
		for _, a := range attachments {
			its := slices.Contains(a.CniArgs, [2]string{"K8S_POD_NAMESPACE", namespace}) &&
				slices.Contains(a.CniArgs, [2]string{"K8S_POD_NAME", name})
			if its && !slices.Contains(paths, a.NetNS) && cookieAt(a.NetNS) != 0 {
				paths = append(paths, a.NetNS)
			}
		}
	}
	return paths, errors.Join(errs...)
}

// cookieAt returns the cookie of the namespace that a path leads to, 0 for none.
func cookieAt(path string) uint64 {
	ns, err := netdev.OpenNetNS(path)
	if err != nil {
		return 0
	}
	defer ns.Close()
	return ns.Cookie()
}
