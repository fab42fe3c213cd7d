// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
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
		var text string
		switch {
		case quiet(cmd):
			text = idsText(chains)
		case len(chains) == 0:
			text = on.noChains() + "\n"
		default:
			text = listText(out.screen(), chains, time.Now())
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

func getCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "get ID",
		Short: "Show all that is known of a member, and of its program in the kernel",
		Long: "Show all that is known of a member: its place, its object, its maps and who else uses\n" +
			"them, and what the kernel tells of the program that runs it.",
		Example:           "  xdpctl get 7\n  xdpctl get 7 -o yaml",
		Args:              oneID,
		ValidArgsFunction: completeID,
	}
	out := addOutput(cmd, formatTable, formatJSON, formatYAML)
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		ids, err := parseIDs(args)
		if err != nil {
			return err
		}
		d, err := inspect.Get(node.Default().Node, ids[0])
		if d.ID == 0 { // else something else could not be read, too
			return failed(err)
		}
		return out.print(d, describe(out.screen(), d), err)
	}
	return cmd
}

// describe is the text of all that is known of a member.
func describe(s render.Screen, d inspect.Detail) string {
	v := description{table: render.New("  ", render.Col(""), render.Col(""))}
	v.state(d)
	v.maps(d.Maps)
	v.place(d)
	v.kernel(d)
	return strings.Join(v.table.Lines(s)[1:], "") // without the header
}

// description is what is known of one thing, a line each, below titles.
type description struct{ table *render.Table }

// add adds values of one label, of which the first stands beside it. What is empty is
// said to be none.
func (v description) add(label string, values ...string) {
	if len(values) == 0 || len(values) == 1 && values[0] == "" {
		values = []string{"none"}
	}
	for _, value := range values {
		v.table.Add(label, value)
		label = ""
	}
}

// number adds one where it is told.
func (v description) number(label string, value uint64) {
	if value != 0 {
		v.add(label, strconv.FormatUint(value, 10))
	}
}

// state says what the member is.
func (v description) state(d inspect.Detail) {
	v.table.AddText("State\n")
	v.add("ID", fmt.Sprint(d.ID))
	v.add("Name", d.Name)
	v.add("Object", d.Origin)
	v.add("Digest", d.Digest)
	v.add("Function", d.Function)
	v.add("Globals", assigned(d.Globals)...)
	v.add("Metadata", assigned(d.Metadata)...)
}

// maps says of each map where it is pinned, with whom it goes, and who else uses it.
func (v description) maps(list []inspect.MemberMap) {
	var pins, owners, users []string
	for _, m := range list {
		pins = append(pins, m.Pins...)
		if len(m.Pins) == 0 {
			pins = append(pins, m.Name+": the pin is missing")
		}
		owners = append(owners, fmt.Sprintf("%s: %s (scope %s)", m.Name, m.Owner, m.Scope))
		for _, u := range m.Users {
			users = append(users, fmt.Sprintf("%s: member %d (%s) on %s, chain %s", m.Name, u.ID, u.Name, u.Interface, u.Chain))
		}
	}
	v.add("Map pins", pins...)
	v.add("Map owner", owners...)
	v.add("Map users", users...)
}

// place says where the member is.
func (v description) place(d inspect.Detail) {
	v.add("Priority", strconv.Itoa(d.Priority))
	v.add("Interface", fmt.Sprintf("%s (index %d)", d.Interface, d.Ifindex))
	v.add("Netns", spacePath(d.NetNS))
	v.add("Chain", d.Chain.String())
	v.add("Position", strconv.Itoa(d.Position))
	v.add("Proceed on", d.ProceedOn.String())
	v.add("Owner", fullOwner(d.Owner))
	if !d.CreatedAt.IsZero() { // of a release that did not note it
		v.add("Created at", d.CreatedAt.UTC().Format(time.RFC3339))
	}
	v.add("Dispatcher", because(d.Dispatcher, d.DispatcherReason))
	v.add("Mode", because(d.Mode, d.ModeReason))
	v.add("Attached by", d.Attach.String())
}

// because is a value and why it is that.
func because(value fmt.Stringer, reason string) string {
	if reason == "" {
		return value.String()
	}
	return fmt.Sprintf("%s (%s)", value, reason)
}

// fullOwner names an attachment by all that does.
func fullOwner(o record.Owner) string {
	if o.Kind != record.OwnerAttachment {
		return o.Kind.String()
	}
	attachment := fmt.Sprintf("network %s, container %s, %s", o.Network, o.ContainerID, o.Ifname)
	if pod := podOfOwner(o); pod != "" {
		return fmt.Sprintf("pod %s, %s", pod, attachment)
	}
	return attachment
}

// kernel says what the kernel tells of the member's program.
func (v description) kernel(d inspect.Detail) {
	title, ids := "Kernel state", commaList(d.MapIDs)
	if d.WholeChain {
		title += " of the chain's one program, in which the member is a function"
		if ids != "" {
			ids += " (the member's own)"
		}
	}
	v.table.AddText("\n" + title + "\n")
	k := d.Kernel
	if k == nil {
		v.add("Program ID", d.KernelReason)
		v.add("Map IDs", ids)
		return
	}
	v.number("Program ID", uint64(k.ProgramID))
	v.add("Name", k.Name)
	v.add("Type", k.Type)
	if !k.LoadedAt.IsZero() {
		v.add("Loaded at", k.LoadedAt.Format(time.RFC3339))
	}
	v.add("Tag", k.Tag)
	v.add("GPL compatible", strconv.FormatBool(k.GPLCompatible))
	v.add("Map IDs", ids)
	v.number("BTF ID", uint64(k.BTFID))
	v.number("Bytes translated", uint64(k.BytesTranslated))
	v.number("Bytes jited", uint64(k.BytesJited))
	v.number("Memory locked", k.BytesMemlock)
	v.number("Verified instructions", uint64(k.VerifiedInstructions))
}
