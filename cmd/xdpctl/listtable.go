// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/xdp-chain/xdp-chain/internal/node"
	"github.com/xdp-chain/xdp-chain/internal/record"
	"github.com/xdp-chain/xdp-chain/pkg/netdev"
)

// chainTable has a line for each chain.
func chainTable(chains []node.Chain) *table {
	t := newTable(
		column{title: "CHAIN"}, column{title: "POD", cut: true}, column{title: "INTERFACE"}, column{title: "SIDE"}, column{title: "MODE"},
		column{title: "DISPATCHER", wide: true}, column{title: "ATTACH", wide: true},
		column{title: "GENERATION", wide: true, right: true}, column{title: "NETNS", wide: true},
	)
	for _, c := range chains {
		mode := cell{text: c.Mode.String()}
		if c.ModeReason != "" {
			mode = yellow.of(c.Mode)
		}
		t.add(c.Key, podOf(c), c.Interface, c.Side, mode, c.Dispatcher, c.Attach, c.Generation, c.NetNS)
	}
	return t
}

// memberTable has a line for each member of each chain, aligned over all.
func memberTable(chains []node.Chain, now time.Time) *table {
	t := newTable(
		column{title: "POS", right: true}, column{title: "ID", right: true}, column{title: "NAME", cut: true},
		column{title: "FUNCTION", wide: true}, column{title: "PRIORITY", right: true}, column{title: "PROCEEDS ON"},
		column{title: "OWNER", cut: true}, column{title: "AGE", right: true},
		column{title: "CREATED", wide: true}, column{title: "PROGRAM", wide: true, right: true}, column{title: "METADATA", wide: true},
	)
	t.indent = "  "
	for _, c := range chains {
		for _, m := range c.Members {
			var age, created string
			if !m.CreatedAt.IsZero() {
				age, created = ago(now.Sub(m.CreatedAt)), m.CreatedAt.Format(time.RFC3339)
			}
			t.add(m.Position, orNothing(m.ID), m.Name, m.Function, m.Priority, m.ProceedOn, ownerOf(m.Owner), age,
				created, orNothing(m.ProgramID), notes(m.Metadata))
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

// ownerOf names who put a member into its chain: the network of an attachment.
func ownerOf(o record.Owner) string {
	if o.Kind == record.OwnerAttachment {
		return o.Network
	}
	return o.Kind.String()
}

// notes are metadata as load takes them.
func notes(metadata map[string]string) string {
	var list []string
	for _, key := range slices.Sorted(maps.Keys(metadata)) {
		list = append(list, key+"="+metadata[key])
	}
	return strings.Join(list, " ")
}

// reasons say why a chain is not what its network would rather have, and what else there
// is for its sake.
func reasons(c node.Chain) []string {
	var list []string
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

// hostPod stands where the pod would, for the namespace that xdpctl runs in.
const hostPod = "(host)"

// spacePath is how a table shows the path of a network namespace.
func spacePath(path string) string {
	if path == netdev.CurrentPath {
		return hostPod
	}
	return path
}

// podOf names the pods whose chain it is, or the network namespace where none is
// known.
func podOf(c node.Chain) string {
	var pods []string
	for _, o := range c.Owners {
		if pod := o.PodNamespace + "/" + o.PodName; o.PodName != "" && !slices.Contains(pods, pod) {
			pods = append(pods, pod)
		}
	}
	if len(pods) > 0 {
		return strings.Join(pods, ",")
	}
	return spacePath(c.NetNS)
}

// alignedLines returns the lines that print writes, their columns aligned.
func alignedLines(print func(io.Writer)) []string {
	var buf bytes.Buffer
	w := tabwriter.NewWriter(&buf, 0, 0, 2, ' ', 0)
	print(w)
	_ = w.Flush() // a bytes.Buffer takes everything
	return strings.SplitAfter(buf.String(), "\n")
}
