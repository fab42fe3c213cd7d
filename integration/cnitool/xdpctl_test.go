// SPDX-License-Identifier: Apache-2.0

package cnitool

import (
	"bytes"
	"encoding/json"
	"os/exec"
	"testing"
)

// listedChain is one chain of `xdpctl list -o json`, as documented.
type listedChain struct {
	Key        string         `json:"key"`
	Interface  string         `json:"interface"`
	Ifindex    int            `json:"ifindex"`
	NetNS      string         `json:"netns"`
	Side       string         `json:"side"`
	Mode       string         `json:"mode"`
	Attach     string         `json:"attach"`
	Dispatcher string         `json:"dispatcher"`
	Generation uint64         `json:"generation"`
	Owners     []listedOwner  `json:"owners"`
	Members    []listedMember `json:"members"`
}

type listedOwner struct {
	Kind         string `json:"kind"`
	Network      string `json:"network"`
	ContainerID  string `json:"containerID"`
	Ifname       string `json:"ifname"`
	PodNamespace string `json:"podNamespace"`
	PodName      string `json:"podName"`
}

type listedMember struct {
	Name      string   `json:"name"`
	Function  string   `json:"function"`
	Priority  int      `json:"priority"`
	ProceedOn []string `json:"proceedOn"`
	Position  int      `json:"position"`
}

// countedChain is one chain of `xdpctl stats -o json`, as documented.
type countedChain struct {
	Key       string       `json:"key"`
	Interface string       `json:"interface"`
	Rows      []countedRow `json:"rows"`
}

type countedRow struct {
	Member  string `json:"member"`
	Verdict string `json:"verdict"`
	Packets uint64 `json:"packets"`
}

// rowKey names a row of stats.
type rowKey struct{ member, verdict string }

func (c *countedChain) total() (sum uint64) {
	for _, r := range c.Rows {
		sum += r.Packets
	}
	return sum
}

func (c *countedChain) packets(member, verdict string) (sum uint64) {
	for _, r := range c.Rows {
		if (rowKey{r.Member, r.Verdict}) == (rowKey{member, verdict}) {
			sum += r.Packets
		}
	}
	return sum
}

func chains(t *testing.T) []listedChain {
	t.Helper()
	return xdpctl[listedChain](t, "list")
}

func stats(t *testing.T) []countedChain {
	t.Helper()
	return xdpctl[countedChain](t, "stats")
}

// xdpctl runs a subcommand for its JSON.
func xdpctl[T any](t *testing.T, subcommand string) []T {
	t.Helper()
	cmd := exec.Command(binary(t, "xdpctl"), subcommand, "-o", "json")
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

// chainOn returns the chain on one side of the pod.
func (p *pod) chainOn(t *testing.T, side string) *listedChain {
	t.Helper()
	for _, c := range chains(t) {
		for _, o := range c.Owners {
			if o.ContainerID == p.id && o.Ifname == p.ifname && c.Side == side {
				return &c
			}
		}
	}
	t.Fatalf("no chain of %s is listed on side %s", p.id, side)
	return nil
}

// statsOn returns the counts of the chain on one side of the pod.
func (p *pod) statsOn(t *testing.T, side string) *countedChain {
	t.Helper()
	key := p.chainOn(t, side).Key
	for _, c := range stats(t) {
		if c.Key == key {
			return &c
		}
	}
	t.Fatalf("chain %s has no stats", key)
	return nil
}

// memberNames returns the members in running order.
func (c *listedChain) memberNames() []string {
	names := make([]string, 0, len(c.Members))
	for _, m := range c.Members {
		names = append(names, m.Name)
	}
	return names
}
