// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/containernetworking/cni/pkg/skel"
	"github.com/containernetworking/cni/pkg/types"
	current "github.com/containernetworking/cni/pkg/types/100"
	"github.com/containernetworking/cni/pkg/types/create"

	"github.com/xdp-chain/xdp-chain/internal/config"
	"github.com/xdp-chain/xdp-chain/internal/node/resolve"
	"github.com/xdp-chain/xdp-chain/internal/record"
	"github.com/xdp-chain/xdp-chain/pkg/object"
)

// podRequest is what ADD and CHECK are called about: the chain that the configuration
// wants for one pod.
type podRequest struct {
	attachment resolve.Attachment
	// excluded says that pods of this pod's namespace get no chain. Their annotations
	// are not looked at.
	excluded bool
	prev     *prevResult
}

// answer prints the result of ADD.
func (r *podRequest) answer(out io.Writer) error {
	_, err := out.Write(r.prev.answer)
	return err
}

// podArgs are what Kubernetes' runtimes say about the pod in CNI_ARGS.
// [types.LoadArgs] goes by the names of the fields.
type podArgs struct {
	types.CommonArgs
	K8S_POD_NAMESPACE types.UnmarshallableString
	K8S_POD_NAME      types.UnmarshallableString
}

// parsePodRequest reads a configuration and the arguments of the call. Errors are code
// 4 for CNI_ARGS, otherwise as those of [config.Parse],
// [parsePrevResult] and [config.Conf.AttachmentFor].
func parsePodRequest(args *skel.CmdArgs) (*podRequest, error) {
	c, err := config.Parse(args.StdinData)
	if err != nil {
		return nil, err
	}
	prev, err := parsePrevResult(c)
	if err != nil {
		return nil, err
	}
	// Arguments for other plugins are no error unless the caller asks for that
	// (IgnoreUnknown=0).
	pod := podArgs{CommonArgs: types.CommonArgs{IgnoreUnknown: true}}
	if err := types.LoadArgs(args.Args, &pod); err != nil {
		return nil, types.NewError(types.ErrInvalidEnvironmentVariables, "CNI_ARGS: "+err.Error(), "")
	}
	namespace, name := string(pod.K8S_POD_NAMESPACE), string(pod.K8S_POD_NAME)
	if !c.Namespaces.Admits(namespace) {
		return &podRequest{attachment: resolve.Attachment{Owner: record.Owner{PodNamespace: namespace}}, excluded: true, prev: prev}, nil
	}
	a, err := resolve.AttachmentFor(c, c.RuntimeConfig.PodAnnotations)
	if err != nil {
		return nil, err
	}
	a.ContainerID, a.Ifname, a.NetNS = args.ContainerID, args.IfName, args.Netns
	a.PodNamespace, a.PodName = namespace, name
	if a.Pod, err = prev.pod(args.IfName, args.Netns); err != nil {
		return nil, err
	}
	a.Pod.Namespace, a.Pod.Name = namespace, name
	return &podRequest{attachment: a, prev: prev}, nil
}

// prevResult is what the plugins before us have made.
type prevResult struct {
	current.Result
	// answer is what we print: the result as it came.
	answer []byte
}

// parsePrevResult reads the result that the runtime hands to every plugin but
// the first of a list. Errors are code 7.
func parsePrevResult(c *config.Conf) (*prevResult, error) {
	if len(c.PrevResult) == 0 || string(c.PrevResult) == "null" {
		return nil, types.NewError(types.ErrInvalidNetworkConfig,
			"prevResult is missing: xdp-chain is a chained plugin and must come after the plugin that makes the interface", "")
	}
	// Interfaces and addresses have been written alike since CNI 0.3.0, so one
	// type reads the results of all versions that we support.
	p := &prevResult{answer: c.PrevResult}
	err := json.Unmarshal(c.PrevResult, &p.Result)
	if err == nil && (slices.Contains(p.Interfaces, nil) || slices.Contains(p.IPs, nil)) {
		err = errors.New("interfaces and ips must not hold null")
	}
	if err == nil && p.CNIVersion != "" && p.CNIVersion != c.CNIVersion {
		p.answer, err = convert(c.PrevResult, c.CNIVersion)
	}
	if err != nil {
		return nil, types.NewError(types.ErrInvalidNetworkConfig, fmt.Sprintf("prevResult: %v", err), "")
	}
	return p, nil
}

// convert writes a result in the given version of CNI. It is needed where the
// plugin before us answered in another version than the configuration's, which
// ours has to be in.
func convert(result []byte, cniVersion string) ([]byte, error) {
	from, err := create.CreateFromBytes(result)
	if err != nil {
		return nil, err
	}
	to, err := from.GetAsVersion(cniVersion)
	if err != nil {
		return nil, err
	}
	return json.Marshal(to)
}

// pod returns what the plugins before us gave to the pod's interface: the first
// IPv4 and the first IPv6 address and the MAC, each zero where there is none. The
// interface is the entry with the given name and sandbox; other plugins list
// host-side and even made-up interfaces besides. No such entry is code 7.
func (p *prevResult) pod(ifname, netns string) (object.Pod, error) {
	index := slices.IndexFunc(p.Interfaces, func(i *current.Interface) bool {
		return i.Name == ifname && i.Sandbox == netns
	})
	if index < 0 {
		return object.Pod{}, types.NewError(types.ErrInvalidNetworkConfig,
			fmt.Sprintf("prevResult has no interface %s in %s; it has %s", ifname, netns, p.interfaces()), "")
	}
	var pod object.Pod
	// A MAC that does not parse is no MAC: what needs it says so.
	pod.MAC, _ = net.ParseMAC(p.Interfaces[index].Mac)
	for _, ip := range p.IPs {
		if ip.Interface != nil && *ip.Interface != index {
			continue
		}
		addr, _ := netip.AddrFromSlice(ip.Address.IP)
		switch addr = addr.Unmap(); {
		case addr.Is4() && !pod.IP.IsValid():
			pod.IP = addr
		case addr.Is6() && !pod.IP6.IsValid():
			pod.IP6 = addr
		}
	}
	return pod, nil
}

// interfaces lists the result's interfaces for a message.
func (p *prevResult) interfaces() string {
	var list []string
	for _, i := range p.Interfaces {
		if i.Sandbox == "" {
			list = append(list, i.Name+" on the host")
		} else {
			list = append(list, i.Name+" in "+i.Sandbox)
		}
	}
	if len(list) == 0 {
		return "none"
	}
	return strings.Join(list, ", ")
}
