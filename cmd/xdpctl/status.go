// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/xdp-chain/xdp-chain/cmd/xdpctl/internal/render"
	"github.com/xdp-chain/xdp-chain/internal/node"
	"github.com/xdp-chain/xdp-chain/internal/node/inspect"
	"github.com/xdp-chain/xdp-chain/internal/node/state"
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
	on := addTarget(cmd)
	out := addOutput(cmd, formatTable, formatWide, formatJSON, formatYAML)
	cmd.RunE = func(*cobra.Command, []string) error {
		n := node.Default()
		netns, err := on.netNS(n)
		if err != nil {
			return err
		}
		hooks, err := inspect.Hooks(n.Node, inspect.HookQuery{NetNS: netns, Interface: on.iface})
		switch {
		case netns == "" && errors.Is(err, netdev.ErrNoInterface):
			return absent(fmt.Errorf("%w; without --iface those with an XDP program are shown", err))
		case len(hooks) == 0 && err != nil:
			return failed(err)
		}
		return out.print(hooks, func() string { return statusText(out.screen(), hooks) }, err)
	}
	return cmd
}

// statusText has a line for each namespace, below it one for each hook, and below that one
// for each member.
func statusText(s render.Screen, hooks []inspect.Hook) string {
	if len(hooks) == 0 {
		return "no XDP programs here\n"
	}
	t := render.New("",
		render.Col("INTERFACE", render.Cut), render.Col("PRIO", render.Right), render.Col("PROGRAM", render.Cut),
		render.Col("MODE"), render.Col("ID", render.Right), render.Col("TAG"), render.Col("ACTIONS"),
		render.Col("CHAIN", render.Wide), render.Col("MEMBER", render.Wide, render.Right), render.Col("FUNCTION", render.Wide), render.Col("ATTACH", render.Wide))
	netns := ""
	for _, h := range hooks {
		if h.NetNS != netns {
			netns = h.NetNS
			t.AddText(render.Printable(spaceOf(h)) + "\n")
		}
		switch {
		case h.Owner == inspect.NoOwner:
			t.Add(h.Interface, "", "(none)")
		case h.State != nil && *h.State != state.Running:
			t.Add(h.Interface, "", render.Yellow.Of("("+h.State.String()+")"), "", "", "", "", h.Key, "", "", h.Attach)
		case h.Owner == inspect.ChainOwner:
			t.Add(h.Interface, "", h.Name, h.Mode, h.ProgramID, h.Tag, "", h.Key, "", "", h.Attach)
		default:
			t.Add(h.Interface, "", render.Yellow.Of(h.Name), h.Mode, h.ProgramID, h.Tag, "", "", "", "", h.Attach)
		}
		if note := holding(h); note != "" {
			t.AddText(s.Note(note))
		}
		for _, m := range h.Members {
			t.Add(" =>", m.Priority, m.Name, "", orNothing(m.ProgramID), m.Tag, actions(m.ProceedOn), "", orNothing(m.ID), m.Function, "")
		}
	}
	return t.Text(s)
}

// actions leaves out the verdict with which an empty slot of a dispatcher says that it
// is: almost every member proceeds on it.
func actions(s chain.ActionSet) string {
	return chain.ActionSetOf(slices.DeleteFunc(s.Actions(), func(a chain.Action) bool { return a == chain.DispatcherReturn })...).String()
}

// spaceOf names the namespace of a hook, and the pod whose chain that is in.
func spaceOf(h inspect.Hook) string {
	for _, m := range h.Members {
		if pod := podOfOwner(m.Owner); pod != "" && h.NetNS != netdev.CurrentPath {
			return fmt.Sprintf("%s (pod %s)", h.NetNS, pod)
		}
	}
	return spacePath(h.NetNS)
}

// holding says whose a program is that is no chain of this node, and what holds it, and of a
// chain why it does not run.
func holding(h inspect.Hook) string {
	if h.State != nil {
		return h.Reason
	}
	whose := "not of xdp-chain"
	switch h.Owner {
	case inspect.LibxdpOwner:
		whose = "of libxdp's tools"
	case inspect.ChainOwner, inspect.NoOwner:
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

func linkHolders(by *inspect.HookHolder) []string {
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
