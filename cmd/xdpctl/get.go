// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/xdp-chain/xdp-chain/cmd/xdpctl/internal/render"
	"github.com/xdp-chain/xdp-chain/internal/node"
	"github.com/xdp-chain/xdp-chain/internal/node/inspect"
	"github.com/xdp-chain/xdp-chain/internal/record"
)

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
		return out.print(d, func() string { return describe(out.screen(), d) }, err)
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
