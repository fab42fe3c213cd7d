// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/containernetworking/cni/pkg/skel"
	"github.com/containernetworking/cni/pkg/types"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/xdp-chain/xdp-chain/internal/config"
	"github.com/xdp-chain/xdp-chain/pkg/object"
)

func call(stdin, cniArgs string) *skel.CmdArgs {
	return &skel.CmdArgs{ContainerID: "c1", Netns: "/run/netns/pod", IfName: "eth0", Args: cniArgs, StdinData: []byte(stdin)}
}

// Every version writes its results a little differently; we find the same pod in
// all, and give back the very bytes that we got.
func TestPodRequest(t *testing.T) {
	want := object.Pod{
		IP: netip.MustParseAddr("10.1.0.7"), IP6: netip.MustParseAddr("fd00::7"),
		MAC:  net.HardwareAddr{0x0a, 0, 0, 0, 0, 3},
		Name: "web-0", Namespace: "shop",
	}
	full := string(readFile(t, examplesDir+"full.json"))
	for _, version := range supported.SupportedVersions() {
		t.Run(version, func(t *testing.T) {
			stdin := strings.ReplaceAll(full, `"cniVersion": "1.0.0"`, `"cniVersion": "`+version+`"`)
			if v := "0.4.0"; version <= v {
				stdin = strings.ReplaceAll(stdin, `"address": "1`, `"version": "4", "address": "1`)
				stdin = strings.ReplaceAll(stdin, `"address": "f`, `"version": "6", "address": "f`)
			}
			r, err := parsePodRequest(call(stdin, "IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=web-0;K8S_POD_UID=u"))
			if err != nil {
				t.Fatal(err)
			}
			a := r.attachment
			if diff := cmp.Diff(want, a.Pod, cmpopts.EquateComparable(netip.Addr{})); diff != "" {
				t.Errorf("pod (-want +got):\n%s", diff)
			}
			got := []string{a.Network, a.ContainerID, a.Ifname, a.NetNS, a.PodNamespace, a.PodName}
			if diff := cmp.Diff([]string{"podnet", "c1", "eth0", "/run/netns/pod", "shop", "web-0"}, got); diff != "" {
				t.Errorf("attachment (-want +got):\n%s", diff)
			}
			var in struct {
				PrevResult json.RawMessage `json:"prevResult"`
			}
			if err := json.Unmarshal([]byte(stdin), &in); err != nil {
				t.Fatal(err)
			}
			var out bytes.Buffer
			if err := r.answer(&out); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(in.PrevResult), out.String()); diff != "" {
				t.Errorf("answer (-prevResult +printed):\n%s", diff)
			}
		})
	}
}

// A plugin before us that answers in another version than it was asked for must
// not make us answer in it.
func TestPodRequestConvertsVersion(t *testing.T) {
	for _, tt := range []struct{ conf, prev string }{{"0.4.0", "1.0.0"}, {"1.0.0", "0.4.0"}, {"1.1.0", "1.0.0"}} {
		stdin := `{"cniVersion": "` + tt.conf + `", "name": "n", "prevResult": {"cniVersion": "` + tt.prev + `",
			"interfaces": [{"name": "eth0", "sandbox": "/run/netns/pod"}],
			"ips": [{"version": "4", "interface": 0, "address": "10.1.0.7/24"}]}}`
		r, err := parsePodRequest(call(stdin, ""))
		if err != nil {
			t.Errorf("%s in %s: %v", tt.prev, tt.conf, err)
			continue
		}
		var answer struct {
			CNIVersion string `json:"cniVersion"`
			Interfaces []struct{ Name, Sandbox string }
			IPs        []struct{ Address string }
		}
		if err := json.Unmarshal(r.prev.answer, &answer); err != nil {
			t.Fatal(err)
		}
		if answer.CNIVersion != tt.conf || len(answer.Interfaces) != 1 || len(answer.IPs) != 1 || answer.IPs[0].Address != "10.1.0.7/24" {
			t.Errorf("%s in %s: answer %s", tt.prev, tt.conf, r.prev.answer)
		}
	}
}

func TestPodRequestFaults(t *testing.T) {
	conf := func(prevResult string) string {
		return `{"cniVersion": "1.0.0", "name": "n", "prevResult": ` + prevResult + `}`
	}
	tests := []struct {
		name, stdin, args string
		code              uint
		want              string
	}{
		{"no prevResult", `{"cniVersion": "1.0.0", "name": "n"}`, "", types.ErrInvalidNetworkConfig, "prevResult is missing: xdp-chain is a chained plugin"},
		{"null", conf(`null`), "", types.ErrInvalidNetworkConfig, "prevResult is missing: "},
		{"no object", conf(`[1]`), "", types.ErrInvalidNetworkConfig, "prevResult: "},
		{"unknown version", conf(`{"cniVersion": "9.0.0"}`), "", types.ErrInvalidNetworkConfig, "prevResult: "},
		{"null interface", conf(`{"interfaces": [null]}`), "", types.ErrInvalidNetworkConfig, "prevResult: interfaces and ips must not hold null"},
		{"null address", conf(`{"interfaces": [{"name": "eth0", "sandbox": "/run/netns/pod"}], "ips": [null]}`), "", types.ErrInvalidNetworkConfig, "prevResult: interfaces and ips must not hold null"},
		{"no interfaces", conf(`{"cniVersion": "1.0.0"}`), "", types.ErrInvalidNetworkConfig, "prevResult has no interface eth0 in /run/netns/pod; it has none"},
		{
			"others' interfaces", conf(`{"interfaces": [{"name": "eth0"}, {"name": "eth0", "sandbox": "/run/netns/other"}, {"name": "eth1", "sandbox": "/run/netns/pod"}]}`), "",
			types.ErrInvalidNetworkConfig, "prevResult has no interface eth0 in /run/netns/pod; it has eth0 on the host, eth0 in /run/netns/other, eth1 in /run/netns/pod",
		},
		{"arguments", conf(`{}`), "K8S_POD_NAME", types.ErrInvalidEnvironmentVariables, "CNI_ARGS: "},
		{"unknown arguments on demand", conf(`{}`), "IgnoreUnknown=0;X=1", types.ErrInvalidEnvironmentVariables, "CNI_ARGS: "},
		{"bad configuration", `{"side": 1}`, "", types.ErrInvalidNetworkConfig, "side: want a string"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := parsePodRequest(call(tt.stdin, tt.args))
			wantError(t, err, tt.code, tt.want)
		})
	}
}

// A pod that is excluded passes through whatever its interface is called.
func TestPodRequestExcluded(t *testing.T) {
	stdin := `{"cniVersion": "1.0.0", "name": "n", "namespaces": {"exclude": ["kube-system"]}, "prevResult": {"cniVersion": "1.0.0"}}`
	r, err := parsePodRequest(call(stdin, "K8S_POD_NAMESPACE=kube-system"))
	if err != nil {
		t.Fatal(err)
	}
	if !r.excluded || string(r.prev.answer) != `{"cniVersion": "1.0.0"}` {
		t.Errorf("excluded %t, answer %s", r.excluded, r.prev.answer)
	}
}

func TestPodWithoutAddresses(t *testing.T) {
	p, err := parsePrevResult(&config.Conf{CNI: config.CNI{
		CNIVersion: "1.0.0",
		PrevResult: json.RawMessage(`{"interfaces": [{"name": "eth0", "mac": "none", "sandbox": "/run/netns/pod"}]}`),
	}})
	if err != nil {
		t.Fatal(err)
	}
	pod, err := p.pod("eth0", "/run/netns/pod")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(object.Pod{}, pod, cmpopts.EquateComparable(netip.Addr{})); diff != "" {
		t.Errorf("pod (-want +got):\n%s", diff)
	}
}
