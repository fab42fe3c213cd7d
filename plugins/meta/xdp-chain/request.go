// SPDX-License-Identifier: Apache-2.0

package main

import (
	"io"

	"github.com/containernetworking/cni/pkg/skel"
	"github.com/containernetworking/cni/pkg/types"

	"github.com/xdp-chain/xdp-chain/internal/config"
	"github.com/xdp-chain/xdp-chain/internal/node/resolve"
	"github.com/xdp-chain/xdp-chain/internal/record"
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
