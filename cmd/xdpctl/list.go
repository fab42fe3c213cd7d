// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/xdp-chain/xdp-chain/cmd/xdpctl/internal/render"
	"github.com/xdp-chain/xdp-chain/internal/node"
	"github.com/xdp-chain/xdp-chain/internal/node/inspect"
	"github.com/xdp-chain/xdp-chain/internal/node/state"
	"github.com/xdp-chain/xdp-chain/internal/record"
	"github.com/xdp-chain/xdp-chain/pkg/netdev"
)

func listCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the chains of this node and their members in running order",
		Long: "List the chains of this node and their members in running order. --iface, --netns, --pid\n" +
			"and --pod show those of one interface, of one network namespace, or of one pod.",
		Args: noArguments,
	}
	on := addTarget(cmd)
	out := addOutput(cmd, formatTable, formatWide, formatJSON, formatYAML)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		n := node.Default()
		shows, err := on.filter(n)
		if err != nil {
			return err
		}
		chains, err := inspect.List(n.Node)
		if len(chains) == 0 && err != nil {
			return unread(err)
		}
		chains = slices.DeleteFunc(chains, func(c inspect.Chain) bool { return !shows(c) })
		text := func() string {
			switch {
			case quiet(cmd):
				return idsText(chains)
			case len(chains) == 0:
				return on.noChains() + "\n"
			}
			return listText(out.screen(), chains, time.Now())
		}
		return out.print(chains, text, err)
	}
	return cmd
}

// noChains says where there are none.
func (t *target) noChains() string {
	switch {
	case t.iface != "":
		return "no chain on " + t.String()
	case t.namesNetNS():
		return "no chains in " + t.netNSWords()
	}
	return "no chains on this node"
}

// idsText is what unload takes, an id a line.
func idsText(chains []inspect.Chain) string {
	var out strings.Builder
	for _, c := range chains {
		for _, m := range c.Members {
			if m.ID != 0 {
				fmt.Fprintln(&out, m.ID)
			}
		}
	}
	return out.String()
}

// listText has a line for each chain, and below it one for each member.
func listText(s render.Screen, chains []inspect.Chain, now time.Time) string {
	t := render.New("",
		render.Col("CHAIN"), render.Col("POD", render.Cut), render.Col("INTERFACE"), render.Col("SIDE"), render.Col("MODE"),
		render.Col("DISPATCHER", render.Wide), render.Col("ATTACH", render.Wide),
		render.Col("GENERATION", render.Wide, render.Right), render.Col("NETNS", render.Wide))
	members := memberTable(chains, now).Lines(s)
	t.AddText(members[0])
	next := 1
	for _, c := range chains {
		var mode any = c.Mode
		if c.ModeReason != "" {
			mode = render.Yellow.Of(c.Mode)
		}
		t.Add(c.Key, podOf(c.Owners, c.NetNS), c.Interface, c.Side, mode, c.Dispatcher, c.Attach, c.Generation, c.NetNS)
		for _, reason := range reasons(c) {
			t.AddText(s.Note(reason))
		}
		t.AddText(strings.Join(members[next:next+len(c.Members)], ""))
		next += len(c.Members)
	}
	return t.Text(s)
}

// memberTable has a line for each member of each chain, aligned over all.
func memberTable(chains []inspect.Chain, now time.Time) *render.Table {
	t := render.New("  ",
		render.Col("POS", render.Right), render.Col("ID", render.Right), render.Col("NAME", render.Cut),
		render.Col("FUNCTION", render.Wide), render.Col("PRIORITY", render.Right), render.Col("PROCEEDS ON"),
		render.Col("OWNER", render.Cut), render.Col("AGE", render.Right),
		render.Col("CREATED", render.Wide), render.Col("PROGRAM", render.Wide, render.Right), render.Col("METADATA", render.Wide))
	for _, c := range chains {
		for _, m := range c.Members {
			var age, created string
			if !m.CreatedAt.IsZero() {
				age, created = ago(now.Sub(m.CreatedAt)), m.CreatedAt.Format(time.RFC3339)
			}
			owner := m.Owner.Kind.String()
			if m.Owner.Kind == record.OwnerAttachment {
				owner = m.Owner.Network
			}
			t.Add(m.Position, orNothing(m.ID), m.Name, m.Function, m.Priority, m.ProceedOn, owner, age,
				created, orNothing(m.ProgramID), strings.Join(assigned(m.Metadata), " "))
		}
	}
	return t
}

// orNothing leaves out the 0 of an id that there is none of.
func orNothing[N record.ID | uint32](id N) string {
	if id == 0 {
		return ""
	}
	return fmt.Sprint(id)
}

// assigned prints metadata and globals as load takes them, by name.
func assigned[V ~string | ~[]byte](values map[string]V) []string {
	var list []string
	for _, name := range slices.Sorted(maps.Keys(values)) {
		list = append(list, name+"="+string(values[name]))
	}
	return list
}

// reasons say why a chain is not what its network would rather have, and what else there
// is for its sake.
func reasons(c inspect.Chain) []string {
	var list []string
	if c.State != state.Running {
		list = append(list, fmt.Sprintf("%s: %s", c.State, c.Reason))
	}
	if c.ModeReason != "" {
		list = append(list, fmt.Sprintf("mode %s: %s", c.Mode, c.ModeReason))
	}
	if c.DispatcherReason != "" {
		list = append(list, fmt.Sprintf("dispatcher %s: %s", c.Dispatcher, c.DispatcherReason))
	}
	if c.PeerGRO != "" {
		list = append(list, fmt.Sprintf("GRO is on at %s, the other end, for members that transmit", c.PeerGRO))
	}
	if c.LibxdpStatus != "" {
		list = append(list, "with libxdp's tools: "+c.LibxdpStatus)
	}
	return list
}

// spacePath is how a table shows the path of a network namespace: for the one that xdpctl
// runs in, (host) stands where the pod would.
func spacePath(path string) string {
	if path == netdev.CurrentPath {
		return "(host)"
	}
	return path
}

// podOf names the pods whose chain it is, or the network namespace where none is
// known.
func podOf(owners []record.Owner, netns string) string {
	if pods := podsOf(owners); len(pods) > 0 {
		return strings.Join(pods, ",")
	}
	return spacePath(netns)
}

// podsOf names the pods whose chain it is, each once.
func podsOf(owners []record.Owner) []string {
	var pods []string
	for _, o := range owners {
		if pod := podOfOwner(o); pod != "" && !slices.Contains(pods, pod) {
			pods = append(pods, pod)
		}
	}
	return pods
}

// podOfOwner names the pod of an attachment; empty where none is known.
func podOfOwner(o record.Owner) string {
	if o.PodName == "" {
		return ""
	}
	return o.PodNamespace + "/" + o.PodName
}
