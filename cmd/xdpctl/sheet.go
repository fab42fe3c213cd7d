// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/xdp-chain/xdp-chain/internal/node"
	"github.com/xdp-chain/xdp-chain/internal/record"
)

// sheet is what is known of one thing, a line each, below titles.
type sheet struct {
	page  page
	lines []sheetLine
}

// sheetLine is a title where it has no value.
type sheetLine struct{ label, value string }

func (s *sheet) title(text string) { s.lines = append(s.lines, sheetLine{label: text}) }

// add adds values of one label, of which the first stands beside it. What is empty is
// said to be none.
func (s *sheet) add(label string, values ...string) {
	if len(values) == 0 || len(values) == 1 && values[0] == "" {
		values = []string{"none"}
	}
	for _, value := range values {
		s.lines = append(s.lines, sheetLine{label, value})
		label = ""
	}
}

// number adds one where it is told.
func (s *sheet) number(label string, value uint64) {
	if value != 0 {
		s.add(label, strconv.FormatUint(value, 10))
	}
}

func (s *sheet) print() error {
	width := 0
	for _, l := range s.lines {
		if l.value != "" {
			width = max(width, len(l.label))
		}
	}
	var out strings.Builder
	for i, l := range s.lines {
		switch {
		case l.value != "":
			fmt.Fprintf(&out, "  %-*s  %s\n", width, l.label, printable(l.value))
		case i > 0:
			fmt.Fprintf(&out, "\n%s\n", l.label)
		default:
			fmt.Fprintln(&out, l.label)
		}
	}
	_, err := io.WriteString(s.page, out.String())
	return err
}

// state says what the member is.
func (s *sheet) state(d node.MemberDetail) {
	s.title("State")
	s.add("ID", fmt.Sprint(d.ID))
	s.add("Name", d.Name)
	s.add("Object", d.Origin)
	s.add("Digest", d.Digest)
	s.add("Function", d.Function)
	s.add("Globals", settings(d.Globals)...)
	s.add("Metadata", sorted(d.Metadata)...)
}

// settings are globals as load takes them.
func settings(globals map[string]json.RawMessage) []string {
	list := make(map[string]string, len(globals))
	for name, value := range globals {
		list[name] = string(value)
	}
	return sorted(list)
}

func sorted(values map[string]string) []string {
	var list []string
	for _, key := range slices.Sorted(maps.Keys(values)) {
		list = append(list, key+"="+values[key])
	}
	return list
}

// maps says of each map where it is pinned, with whom it goes, and who else uses it.
func (s *sheet) maps(list []node.MemberMap) {
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
	s.add("Map pins", pins...)
	s.add("Map owner", owners...)
	s.add("Map users", users...)
}

// place says where the member is.
func (s *sheet) place(d node.MemberDetail) {
	s.add("Priority", strconv.Itoa(d.Priority))
	s.add("Interface", fmt.Sprintf("%s (index %d)", d.Interface, d.Ifindex))
	s.add("Netns", spacePath(d.NetNS))
	s.add("Chain", d.Chain.String())
	s.add("Position", strconv.Itoa(d.Position))
	s.add("Proceed on", d.ProceedOn.String())
	s.add("Owner", fullOwner(d.Owner))
	if !d.CreatedAt.IsZero() { // of a release that did not note it
		s.add("Created at", d.CreatedAt.UTC().Format(time.RFC3339))
	}
	s.add("Dispatcher", because(d.Dispatcher, d.DispatcherReason))
	s.add("Mode", because(d.Mode, d.ModeReason))
	s.add("Attached by", d.Attach.String())
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
	pod := ""
	if o.PodName != "" {
		pod = fmt.Sprintf("pod %s/%s, ", o.PodNamespace, o.PodName)
	}
	return fmt.Sprintf("%snetwork %s, container %s, %s", pod, o.Network, o.ContainerID, o.Ifname)
}

// kernel says what the kernel tells of the member's program.
func (s *sheet) kernel(d node.MemberDetail) {
	title, ids := "Kernel state", strings.Trim(strings.ReplaceAll(fmt.Sprint(d.MapIDs), " ", ", "), "[]")
	if d.WholeChain {
		title += " of the chain's one program, in which the member is a function"
		if ids != "" {
			ids += " (the member's own)"
		}
	}
	s.title(title)
	k := d.Kernel
	if k == nil {
		s.add("Program ID", d.KernelReason)
		s.add("Map IDs", ids)
		return
	}
	s.number("Program ID", uint64(k.ProgramID))
	s.add("Name", k.Name)
	s.add("Type", k.Type)
	if !k.LoadedAt.IsZero() {
		s.add("Loaded at", k.LoadedAt.Format(time.RFC3339))
	}
	s.add("Tag", k.Tag)
	s.add("GPL compatible", strconv.FormatBool(k.GPLCompatible))
	s.add("Map IDs", ids)
	s.number("BTF ID", uint64(k.BTFID))
	s.number("Bytes translated", uint64(k.BytesTranslated))
	s.number("Bytes jited", uint64(k.BytesJited))
	s.number("Memory locked", k.BytesMemlock)
	s.number("Verified instructions", uint64(k.VerifiedInstructions))
}
