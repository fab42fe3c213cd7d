// SPDX-License-Identifier: Apache-2.0

package plugintest

import (
	"bytes"
	"encoding/json"
	"os/exec"
	"testing"
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

// MemberNames returns the members in running order.
func (c *ListedChain) MemberNames() []string {
	names := make([]string, 0, len(c.Members))
	for _, m := range c.Members {
		names = append(names, m.Name)
	}
	return names
}
