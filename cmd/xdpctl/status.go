// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/xdp-chain/xdp-chain/internal/node"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
	"github.com/xdp-chain/xdp-chain/pkg/netdev"
)

func statusCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show every XDP program on every interface, and whose it is",
		Long: "Show every XDP program on every interface, in all network namespaces that can be found:\n" +
			"this node's chains, the dispatchers of libxdp's tools, and all others with what holds them.",
		Example: "  xdpctl status\n  xdpctl status --iface eth0 -o wide",
		Args:    noArguments,
	}
	p := addPlace(cmd)
	output := addFormat(cmd, formatTable, formatWide, formatJSON, formatYAML)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		n := node.Default()
		netns, err := p.netNS(n)
		if err != nil {
			return err
		}
		hooks, err := n.Hooks(node.HookQuery{NetNS: netns, Interface: p.iface})
		switch {
		case netns == "" && errors.Is(err, netdev.ErrNoInterface):
			return absent(fmt.Errorf("%w; without --iface those with an XDP program are shown", err))
		case len(hooks) == 0 && err != nil:
			return failed(err)
		}
		return unread(errors.Join(printHooks(newPage(cmd.OutOrStdout(), *output), *output, hooks), err))
	}
	return cmd
}

func printHooks(p page, as format, hooks []node.Hook) error {
	if as.structured() {
		return printValue(p, as, hooks)
	}
	if len(hooks) == 0 {
		_, err := fmt.Fprintln(p, "no XDP programs here")
		return err
	}
	lines := hookTable(hooks).lines(p)
	var out strings.Builder
	out.WriteString(lines[0])
	next, netns := 1, ""
	for _, h := range hooks {
		if h.NetNS != netns {
			netns = h.NetNS
			out.WriteString(printable(spaceOf(h)) + "\n")
		}
		out.WriteString(lines[next])
		if note := holding(h); note != "" {
			out.WriteString(p.note(note))
		}
		out.WriteString(strings.Join(lines[next+1:next+1+len(h.Members)], ""))
		next += 1 + len(h.Members)
	}
	_, err := io.WriteString(p, out.String())
	return err
}

// hookTable has a line for each hook, and below it one for each member.
func hookTable(hooks []node.Hook) *table {
	t := newTable(
		column{title: "INTERFACE", cut: true}, column{title: "PRIO", right: true}, column{title: "PROGRAM", cut: true},
		column{title: "MODE"}, column{title: "ID", right: true}, column{title: "TAG"}, column{title: "ACTIONS"},
		column{title: "CHAIN", wide: true}, column{title: "MEMBER", wide: true, right: true}, column{title: "FUNCTION", wide: true}, column{title: "ATTACH", wide: true},
	)
	for _, h := range hooks {
		switch h.Whose {
		case node.NobodysHook:
			t.add(h.Interface, "", "(none)")
			continue
		case node.ChainHook:
			t.add(h.Interface, "", h.Name, h.Mode, h.ProgramID, h.Tag, "", h.Key, "", "", h.Attach)
		default:
			t.add(h.Interface, "", yellow.of(h.Name), h.Mode, h.ProgramID, h.Tag, "", "", "", "", h.Attach)
		}
		for _, m := range h.Members {
			t.add(" =>", m.Priority, m.Name, "", orNothing(m.ProgramID), m.Tag, actions(m.ProceedOn), "", orNothing(m.ID), m.Function, "")
		}
	}
	return t
}

// actions leaves out the verdict with which an empty slot of a dispatcher says that it
// is: almost every member proceeds on it.
func actions(s chain.ActionSet) string {
	return chain.ActionSetOf(slices.DeleteFunc(s.Actions(), func(a chain.Action) bool { return a == chain.DispatcherReturn })...).String()
}

// spaceOf names the namespace of a hook, and the pod whose chain that is in.
func spaceOf(h node.Hook) string {
	if h.NetNS == netdev.CurrentPath {
		return hostPod
	}
	for _, m := range h.Members {
		if m.Owner.PodName != "" {
			return fmt.Sprintf("%s (pod %s/%s)", h.NetNS, m.Owner.PodNamespace, m.Owner.PodName)
		}
	}
	return h.NetNS
}

// holding says whose a program is that is no chain of this node, and what holds it.
func holding(h node.Hook) string {
	whose := "not of xdp-chain"
	switch h.Whose {
	case node.LibxdpHook:
		whose = "of libxdp's tools"
	case node.ChainHook, node.NobodysHook:
		return ""
	}
	switch {
	case h.Attach == chain.AttachNetlink:
		return whose + ": attached by netlink, which does not say by whom"
	case h.Holder == nil: // it was replaced while we looked
		return whose
	}
	return whose + ": " + strings.Join(linkHolders(h.Holder), ", ")
}

func linkHolders(by *node.HookHolder) []string {
	if by.LinkID == 0 {
		return []string{"held by a bpf_link; which one cannot be told, as others have the same program on the same index"}
	}
	list := []string{fmt.Sprintf("held by bpf_link %d", by.LinkID)}
	for _, path := range by.Pins {
		list = append(list, "pinned at "+path)
	}
	for _, process := range by.Processes {
		list = append(list, fmt.Sprintf("open in process %d (%s)", process.PID, process.Name))
	}
	return list
}
