// SPDX-License-Identifier: Apache-2.0

package plugintest

import (
	"bytes"
	"encoding/json"
	"net/netip"
	"os/exec"
	"testing"
	"time"
)

// ListedChain is one chain of `xdpctl list -o json`, as documented.
type ListedChain struct {
	Key              string         `json:"key"`
	Interface        string         `json:"interface"`
	Ifindex          int            `json:"ifindex"`
	NetNS            string         `json:"netns"`
	Side             string         `json:"side"`
	Mode             string         `json:"mode"`
	Attach           string         `json:"attach"`
	Dispatcher       string         `json:"dispatcher"`
	DispatcherReason string         `json:"dispatcherReason"`
	LibxdpVersion    int            `json:"libxdpVersion"`
	LibxdpStatus     string         `json:"libxdpStatus"`
	Generation       uint64         `json:"generation"`
	Owners           []ListedOwner  `json:"owners"`
	Members          []ListedMember `json:"members"`
}

// ListedOwner is who has members in the chain.
type ListedOwner struct {
	Kind         string `json:"kind"`
	Network      string `json:"network"`
	ContainerID  string `json:"containerID"`
	Ifname       string `json:"ifname"`
	PodNamespace string `json:"podNamespace"`
	PodName      string `json:"podName"`
}

// ListedMember is one member.
type ListedMember struct {
	Name      string      `json:"name"`
	Function  string      `json:"function"`
	Priority  int         `json:"priority"`
	ProceedOn []string    `json:"proceedOn"`
	Position  int         `json:"position"`
	Owner     ListedOwner `json:"owner"`
	ProgramID uint32      `json:"programID"`
}

// CountedChain is one chain of `xdpctl stats -o json`, as documented.
type CountedChain struct {
	Key       string       `json:"key"`
	Interface string       `json:"interface"`
	Rows      []CountedRow `json:"rows"`
	Reason    string       `json:"reason"`
}

// CountedRow is how many packets got this verdict from this member.
type CountedRow struct {
	Member  string `json:"member"`
	Verdict string `json:"verdict"`
	Packets uint64 `json:"packets"`
}

// Total is how many packets entered the chain.
func (c *CountedChain) Total() (sum uint64) {
	for _, r := range c.Rows {
		sum += r.Packets
	}
	return sum
}

// Packets is how many packets got the verdict from the member.
func (c *CountedChain) Packets(member, verdict string) (sum uint64) {
	for _, r := range c.Rows {
		if r.Member == member && r.Verdict == verdict {
			sum += r.Packets
		}
	}
	return sum
}

// MemberFlows is one member's of `xdpctl flows -o json`, as documented.
type MemberFlows struct {
	Key        string       `json:"key"`
	Interface  string       `json:"interface"`
	NetNS      string       `json:"netns"`
	Side       string       `json:"side"`
	Member     string       `json:"member"`
	Owner      ListedOwner  `json:"owner"`
	Flows      []ListedFlow `json:"flows"`
	Forgotten  Traffic      `json:"forgotten"`
	NotIP      Traffic      `json:"notIP"`
	Unreadable Traffic      `json:"unreadable"`
	Shared     string       `json:"shared"`
	Reason     string       `json:"reason"`
}

// ListedFlow is one flow.
type ListedFlow struct {
	Protocol        string     `json:"protocol"`
	Source          netip.Addr `json:"source"`
	SourcePort      uint16     `json:"sourcePort"`
	Destination     netip.Addr `json:"destination"`
	DestinationPort uint16     `json:"destinationPort"`
	LaterFragments  bool       `json:"laterFragments"`
	Traffic
	FirstSeen time.Time `json:"firstSeen"`
	LastSeen  time.Time `json:"lastSeen"`
}

// Traffic is a number of packets and of the bytes of their frames.
type Traffic struct {
	Packets uint64 `json:"packets"`
	Bytes   uint64 `json:"bytes"`
}

// Chains is what xdpctl lists.
func Chains(t *testing.T) []ListedChain {
	t.Helper()
	return xdpctl[ListedChain](t, "list")
}

// Stats is what xdpctl counts.
func Stats(t *testing.T) []CountedChain {
	t.Helper()
	return xdpctl[CountedChain](t, "stats")
}

// Flows are what xdpctl says of the members that keep flows.
func Flows(t *testing.T) []MemberFlows {
	t.Helper()
	return xdpctl[MemberFlows](t, "flows")
}

// xdpctl runs a subcommand for its JSON.
func xdpctl[T any](t *testing.T, subcommand string) []T {
	t.Helper()
	cmd := exec.Command(Binary(t, "xdpctl"), subcommand, "-o", "json")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("xdpctl %s: %v: %s", subcommand, err, stderr.Bytes())
	}
	var chains []T
	decoder := json.NewDecoder(bytes.NewReader(out))
	if err := decoder.Decode(&chains); err != nil {
		t.Fatalf("xdpctl %s printed %s: %v", subcommand, out, err)
	}
	return chains
}

// ChainOn returns the chain on one side of the pod.
func (p *Pod) ChainOn(t *testing.T, side string) *ListedChain {
	t.Helper()
	for _, c := range Chains(t) {
		for _, o := range c.Owners {
			if o.ContainerID == p.ID && o.Ifname == p.Ifname && c.Side == side {
				return &c
			}
		}
	}
	t.Fatalf("no chain of %s is listed on side %s", p.ID, side)
	return nil
}

// StatsOn returns the counts of the chain on one side of the pod.
func (p *Pod) StatsOn(t *testing.T, side string) *CountedChain {
	t.Helper()
	key := p.ChainOn(t, side).Key
	for _, c := range Stats(t) {
		if c.Key == key {
			return &c
		}
	}
	t.Fatalf("chain %s has no stats", key)
	return nil
}

// FlowsOn returns the flows of the one member that keeps them on one side of the pod.
func (p *Pod) FlowsOn(t *testing.T, side string) *MemberFlows {
	t.Helper()
	key := p.ChainOn(t, side).Key
	for _, m := range Flows(t) {
		if m.Key == key {
			return &m
		}
	}
	t.Fatalf("chain %s has no flows", key)
	return nil
}

// MemberNames returns the members in running order.
func (c *ListedChain) MemberNames() []string {
	names := make([]string, 0, len(c.Members))
	for _, m := range c.Members {
		names = append(names, m.Name)
	}
	return names
}
