// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/cilium/ebpf"
	"github.com/rogpeppe/go-internal/testscript"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/xdp-chain/xdp-chain/internal/node"
	"github.com/xdp-chain/xdp-chain/internal/record"
	"github.com/xdp-chain/xdp-chain/internal/testenv"
)

// newNetNS makes a network namespace, and sets VAR to its path and VAR_NAME to the name
// that ip netns has for it.
func newNetNS(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: netns VAR")
	}
	path := testenv.NewNetNS(ts.Value(script{}).(*script).tb)
	ts.Setenv(args[0], path)
	ts.Setenv(args[0]+"_NAME", filepath.Base(path))
}

// newInterface makes an interface that is up, in a network namespace or in the one that
// xdpctl runs in. A veth's other end is called after it, with "-peer".
func newInterface(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 || len(args) > 3 {
		ts.Fatalf("usage: iface KIND NAME [NETNS]")
	}
	tb, netns := ts.Value(script{}).(*script).tb, strings.Join(args[2:], "")
	attrs := netlink.NewLinkAttrs()
	attrs.Name = args[1]
	link := map[string]netlink.Link{
		"veth":   &netlink.Veth{LinkAttrs: attrs, PeerName: attrs.Name + "-peer"},
		"bridge": &netlink.Bridge{LinkAttrs: attrs},
		"tun":    &netlink.Tuntap{LinkAttrs: attrs, Mode: netlink.TUNTAP_MODE_TUN},
		"tap":    &netlink.Tuntap{LinkAttrs: attrs, Mode: netlink.TUNTAP_MODE_TAP},
	}[args[0]]
	var missing error
	testenv.InNetNS(tb, netns, func() error {
		err := netlink.LinkAdd(link)
		if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENOENT) { // ENOENT: /dev/net/tun
			missing = fmt.Errorf("interfaces of kind %s: %w", args[0], ebpf.ErrNotSupported)
			return nil
		}
		if err == nil {
			err = netlink.LinkSetUp(link)
		}
		return err
	})
	testenv.NeedKernel(tb, missing)
	if netns != "" {
		return // it goes with the namespace
	}
	tb.Cleanup(func() {
		if link, err := netlink.LinkByName(args[1]); err == nil {
			_ = netlink.LinkDel(link) // a script may have done so
		}
	})
}

// loadMember loads a member, and sets VAR to its id.
func loadMember(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: member VAR FLAGS...")
	}
	ts.Check(ts.Exec("xdpctl", append([]string{"load", "--quiet"}, args[1:]...)...))
	id := strings.TrimSpace(ts.ReadFile("stdout"))
	if _, err := strconv.ParseUint(id, 10, 31); err != nil {
		ts.Fatalf("load --quiet prints %q, want an id", id)
	}
	ts.Setenv(args[0], id)
}

// setMembers sets ID<position> and CREATED<position> of each member of the chain of a pod's
// side.
func setMembers(ts *testscript.TestScript) {
	s := ts.Value(script{}).(*script)
	chains, err := node.Default().List()
	ts.Check(err)
	for _, c := range chains {
		for _, m := range c.Members {
			if c.Key == s.key {
				ts.Setenv(fmt.Sprintf("ID%d", m.Position), fmt.Sprint(m.ID))
				ts.Setenv(fmt.Sprintf("CREATED%d", m.Position), m.CreatedAt.Format(time.RFC3339Nano))
			}
		}
	}
}

// unloadEverything takes down what a script has loaded by hand, for the check that nothing is
// left.
func unloadEverything(s *script) {
	n := node.Default()
	chains, err := n.List()
	if err != nil {
		s.tb.Log(err) // of what the script broke
	}
	for _, c := range chains {
		for _, m := range c.Members {
			if m.ID == 0 || m.Owner.Kind != record.OwnerCLI {
				continue
			}
			if err := n.Unload(s.tb.Context(), false, m.ID); err != nil {
				s.tb.Error(err)
			}
		}
	}
}
