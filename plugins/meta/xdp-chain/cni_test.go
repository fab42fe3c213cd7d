// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/containernetworking/cni/pkg/skel"
	"github.com/containernetworking/cni/pkg/types"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/xdp-chain/xdp-chain/internal/catalog"
	"github.com/xdp-chain/xdp-chain/internal/config"
	"github.com/xdp-chain/xdp-chain/internal/node/state"
	"github.com/xdp-chain/xdp-chain/internal/store"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
	"github.com/xdp-chain/xdp-chain/pkg/dispatcher"
	"github.com/xdp-chain/xdp-chain/pkg/netdev"
	"github.com/xdp-chain/xdp-chain/pkg/object"
	"github.com/xdp-chain/xdp-chain/pkg/pin"
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
			if diff := cmp.Diff(string(in.PrevResult), string(r.answer)); diff != "" {
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
		if err := json.Unmarshal(r.answer, &answer); err != nil {
			t.Fatal(err)
		}
		if answer.CNIVersion != tt.conf || len(answer.Interfaces) != 1 || len(answer.IPs) != 1 || answer.IPs[0].Address != "10.1.0.7/24" {
			t.Errorf("%s in %s: answer %s", tt.prev, tt.conf, r.answer)
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
	if !r.excluded || string(r.answer) != `{"cniVersion": "1.0.0"}` {
		t.Errorf("excluded %t, answer %s", r.excluded, r.answer)
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

func TestCodes(t *testing.T) {
	tests := []struct {
		err  error
		want uint
	}{
		{pin.ErrLocked, 11},
		{store.ErrLocked, 11},
		{context.DeadlineExceeded, 11},
		{netdev.ErrNetNSGone, 8},
		{chain.ErrTooManyMembers, 104},
		{dispatcher.ErrTooManyMaps, 104},
		{object.ErrUnusable, 103},
		{config.ErrPolicy, 102},
		{catalog.ErrUnknown, 103},
		{catalog.ErrBroken, 103},
		{dispatcher.ErrMixedLicenses, 103},
		{dispatcher.ErrStackTooDeep, 103},
		{dispatcher.ErrNotLinkable, 103},
		{dispatcher.ErrNoBTF, 103},
		{dispatcher.ErrProgramArray, 103},
		{dispatcher.ErrMapRefused, 103},
		{netdev.ErrBusy, 101},
		{netdev.ErrUnsupported, 101},
		{netdev.ErrNotVeth, 101},
		{netdev.ErrNoInterface, 101},
		{ebpf.ErrNotSupported, 105},
		{dispatcher.ErrNotPermitted, 105},
		{pin.ErrNoBPFFS, 105},
		{chain.ErrInvalid, 7},
		{config.ErrNotJSON, 6},
		{&fs.PathError{Op: "open", Path: "/x", Err: syscall.EIO}, 5},
		{&os.LinkError{Op: "rename", Old: "a", New: "b", Err: syscall.EIO}, 5},
		{os.NewSyscallError("bpf", syscall.EIO), 5},
		{state.ErrDiffers, 999},
		{errors.New("else"), 999},

		{fmt.Errorf("%w: %w", state.ErrDiffers, netdev.ErrNoInterface), 999},

		// What a pod is refused is told as that, whatever stands against it.
		{fmt.Errorf("%w: %w", config.ErrPolicy, dispatcher.ErrTooManyMaps), 102},

		// What is wrong with an object is told as that, whatever it is.
		{fmt.Errorf("%w: %w", chain.ErrInvalid, object.ErrUnusable), 103},
		{fmt.Errorf("%w: %w", object.ErrUnusable, &fs.PathError{Op: "open", Path: "/x", Err: syscall.ENOENT}), 103},
	}
	for _, tt := range tests {
		got := cniError(fmt.Errorf("put a chain on eth0: %w", tt.err))
		if got.Code != tt.want || got.Msg != "put a chain on eth0: "+tt.err.Error() || got.Details != "" {
			t.Errorf("%v: code %d, message %q, details %q; want code %d", tt.err, got.Code, got.Msg, got.Details, tt.want)
		}
	}
}

func TestCodeOfRefusal(t *testing.T) {
	err := fmt.Errorf("put a chain on eth0: %w", &dispatcher.RefusedError{
		Member: "mine", Log: []string{"R1 invalid mem access 'scalar'", "processed 3 insns"}, Err: syscall.EACCES,
	})
	want := types.NewError(100, err.Error(), "R1 invalid mem access 'scalar'\nprocessed 3 insns")
	if diff := cmp.Diff(want, cniError(err)); diff != "" {
		t.Errorf("error (-want +got):\n%s", diff)
	}
}

func TestCodeOfJoinedErrors(t *testing.T) {
	err := errors.Join(errors.New("chain 1-2: gone"), fmt.Errorf("chain 1-3: %w", pin.ErrLocked))
	want := types.NewError(11, "chain 1-2: gone", "chain 1-3: locked")
	if diff := cmp.Diff(want, cniError(err)); diff != "" {
		t.Errorf("error (-want +got):\n%s", diff)
	}
}

func TestCodeOfCNIError(t *testing.T) {
	made := types.NewError(types.ErrInvalidNetNS, "gone", "details")
	if got := cniError(fmt.Errorf("wrapped: %w", made)); got != made {
		t.Errorf("got %#v, want %#v", got, made)
	}
}
