// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/xdp-chain/xdp-chain/internal/node"
)

// netnsDir is where ip-netns(8) keeps named namespaces.
const netnsDir = "/run/netns"

// place is what the flags --iface, --netns, --pid and --pod say.
type place struct {
	cmd   *cobra.Command
	iface string
	netns string // a path, or a name in netnsDir
	pid   int
	pod   string // NAMESPACE/NAME
}

// addPlace gives a subcommand the flags that say where an interface is.
func addPlace(cmd *cobra.Command) *place {
	p := &place{cmd: cmd}
	flags := cmd.Flags()
	flags.StringVar(&p.iface, "iface", "", "network `interface`")
	flags.StringVar(&p.netns, "netns", "", "network namespace it is in: a `path`, or a name as ip netns has it")
	flags.IntVar(&p.pid, "pid", 0, "`process` in whose network namespace it is")
	flags.StringVar(&p.pod, "pod", "", "`pod` in whose network namespace it is, as NAMESPACE/NAME")
	return p
}

// given tells whether any of the flags is there.
func (p *place) given() bool { return p.iface != "" || p.elsewhere() }

// elsewhere tells whether a namespace is named.
func (p *place) elsewhere() bool { return len(p.namespaceFlags()) > 0 }

func (p *place) namespaceFlags() []string {
	var set []string
	for _, name := range []string{"netns", "pid", "pod"} {
		if p.cmd.Flags().Changed(name) {
			set = append(set, "--"+name)
		}
	}
	return set
}

// where says in words which interface it is.
func (p *place) where() string {
	if !p.elsewhere() {
		return p.iface
	}
	return p.iface + " in " + p.space()
}

// space says in words which network namespace is named.
func (p *place) space() string {
	switch {
	case p.pod != "":
		return "pod " + p.pod
	case p.pid != 0:
		return fmt.Sprintf("the network namespace of process %d", p.pid)
	}
	return "network namespace " + p.netns
}

// resolve finds the interface's namespace. The interface has to be named, and may yet
// turn out not to be there.
func (p *place) resolve(n *node.Node) (node.Place, error) {
	if p.iface == "" {
		return node.Place{}, errors.New("which interface? Name it with --iface, such as --iface eth0")
	}
	path, err := p.netNS(n)
	return node.Place{NetNS: path, Interface: p.iface}, err
}

// netNS returns the path of the namespace; empty is the command's own.
func (p *place) netNS(n *node.Node) (string, error) {
	set := p.namespaceFlags()
	switch {
	case len(set) == 0:
		return "", nil
	case len(set) > 1:
		return "", fmt.Errorf("%s exclude each other; each of them alone says which network namespace", strings.Join(set, " and "))
	case set[0] == "--pid":
		return netNSOfProcess(p.pid)
	case set[0] == "--pod":
		return netNSOfPod(n, p.pod)
	}
	return netNSAt(p.netns)
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
