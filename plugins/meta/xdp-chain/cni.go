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
	"slices"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/containernetworking/cni/pkg/skel"
	"github.com/containernetworking/cni/pkg/types"
	current "github.com/containernetworking/cni/pkg/types/100"
	"github.com/containernetworking/cni/pkg/types/create"

	"github.com/xdp-chain/xdp-chain/internal/catalog"
	"github.com/xdp-chain/xdp-chain/internal/config"
	"github.com/xdp-chain/xdp-chain/internal/node/resolve"
	"github.com/xdp-chain/xdp-chain/internal/node/state"
	"github.com/xdp-chain/xdp-chain/internal/record"
	"github.com/xdp-chain/xdp-chain/internal/store"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
	"github.com/xdp-chain/xdp-chain/pkg/dispatcher"
	"github.com/xdp-chain/xdp-chain/pkg/netdev"
	"github.com/xdp-chain/xdp-chain/pkg/object"
	"github.com/xdp-chain/xdp-chain/pkg/pin"
)

// podRequest is what ADD and CHECK are called about: the chain that the configuration
// wants for one pod.
type podRequest struct {
	attachment resolve.Attachment
	// excluded says that pods of this pod's namespace get no chain. Their annotations
	// are not looked at.
	excluded bool
	// answer is what ADD prints.
	answer []byte
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
		return &podRequest{attachment: resolve.Attachment{Owner: record.Owner{PodNamespace: namespace}}, excluded: true, answer: prev.answer}, nil
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
	return &podRequest{attachment: a, answer: prev.answer}, nil
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

// Our error codes; those below 100 are CNI's.
const (
	codeRefused        uint = 100 // the verifier refused a program; its log's telling lines are the details
	codeCannotCarry    uint = 101 // the interface cannot carry the chain: MTU, driver, busy
	codePolicy         uint = 102 // the pod's annotation asks for what the network's policy does not allow
	codeUnusable       uint = 103 // an object or a catalog entry, with what is to be set in it, is unusable
	codeTooManyMembers uint = 104 // more than the dispatcher can call
	codeKernelLacks    uint = 105 // the kernel lacks what is needed
)

// codes says which code an error gets: that of the first row with an error that
// it satisfies. So what is wrong with an object comes before what is wrong with a
// value in it.
var codes = []struct {
	code uint
	errs []error
}{
	{types.ErrTryAgainLater, []error{pin.ErrLocked, store.ErrLocked, context.DeadlineExceeded}},
	{types.ErrInvalidNetNS, []error{netdev.ErrNetNSGone}},
	{types.ErrInternal, []error{state.ErrDiffers}}, // CHECK has no code of its own
	{codePolicy, []error{config.ErrPolicy}},
	{codeTooManyMembers, []error{chain.ErrTooManyMembers, dispatcher.ErrTooManyMaps}},
	{codeUnusable, []error{object.ErrUnusable, catalog.ErrUnknown, catalog.ErrBroken, dispatcher.ErrNotLinkable, dispatcher.ErrNoBTF, dispatcher.ErrProgramArray, dispatcher.ErrMapRefused}},
	{codeCannotCarry, []error{netdev.ErrBusy, netdev.ErrUnsupported, netdev.ErrNotVeth, netdev.ErrNoInterface}},
	{codeKernelLacks, []error{ebpf.ErrNotSupported, dispatcher.ErrNotPermitted, pin.ErrNoBPFFS}},
	{types.ErrInvalidNetworkConfig, []error{chain.ErrInvalid}},
	{types.ErrDecodingFailure, []error{config.ErrNotJSON}},
}

// cniError returns an error as CNI reports it: a [types.Error] as it is, anything
// else with the code of what it wraps. The message is one line; the other
// lines of an error that joins several are the details.
func cniError(err error) *types.Error {
	if made := (*types.Error)(nil); errors.As(err, &made) {
		return made
	}
	if refused := (*dispatcher.RefusedError)(nil); errors.As(err, &refused) {
		return types.NewError(codeRefused, err.Error(), strings.Join(refused.Log, "\n"))
	}
	msg, details, _ := strings.Cut(err.Error(), "\n")
	return types.NewError(codeOf(err), msg, details)
}

func codeOf(err error) uint {
	for _, row := range codes {
		for _, target := range row.errs {
			if errors.Is(err, target) {
				return row.code
			}
		}
	}
	if errors.As(err, new(*fs.PathError)) || errors.As(err, new(*os.LinkError)) || errors.As(err, new(*os.SyscallError)) {
		return types.ErrIOFailure
	}
	return types.ErrInternal
}
