// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/containernetworking/cni/libcni"

	"github.com/xdp-chain/xdp-chain/internal/config"
	"github.com/xdp-chain/xdp-chain/internal/node"
	"github.com/xdp-chain/xdp-chain/internal/record"
	"github.com/xdp-chain/xdp-chain/pkg/netdev"
)

// cniCaches are the folders in which libcni keeps, below results, what each attachment
// got: its default, and the one that runtimes had before.
var cniCaches = []string{libcni.CacheDir, libcni.CacheDir + "/cache"}

// podName is a Kubernetes pod's.
type podName struct{ namespace, name string }

// parsePod takes NAMESPACE/NAME.
func parsePod(text string) (podName, error) {
	namespace, name, _ := strings.Cut(text, "/")
	if namespace == "" || name == "" || strings.Contains(name, "/") {
		return podName{}, fmt.Errorf("--pod %q is no pod; give it as NAMESPACE/NAME, such as default/web-0", text)
	}
	return podName{namespace, name}, nil
}

// owns tells whether an owner is an attachment of the pod.
func (p podName) owns(o record.Owner) bool {
	return o.PodNamespace == p.namespace && o.PodName == p.name
}

// netNSOfPod finds a pod's network namespace by its chains, and where it has none by the
// runtime's cached CNI results.
func netNSOfPod(n *node.Node, text string) (string, error) {
	pod, err := parsePod(text)
	if err != nil {
		return "", err
	}
	paths, unreadable := pod.recorded(n)
	if len(paths) == 0 {
		var err error
		paths, err = pod.cached()
		unreadable = errors.Join(unreadable, err)
	}
	switch {
	case len(paths) == 1:
		return paths[0], nil
	case len(paths) > 1:
		return "", unread(fmt.Errorf("pod %s has %d network namespaces, all but one of earlier sandboxes: give --netns one of %s", text, len(paths), strings.Join(paths, ", ")))
	case unreadable != nil:
		return "", unread(fmt.Errorf("pod %s was not found in what could be read: %w", text, unreadable))
	}
	return "", absent(fmt.Errorf("no pod %s on this node: neither a chain nor a cached CNI result is of it; --pid with one of its processes, or --netns, leads there if it runs (on the host's network, leave --pod out)", text))
}

// recorded returns the namespaces in which the pod has chains.
func (p podName) recorded(n *node.Node) ([]string, error) {
	chains, err := n.List()
	var paths []string
	for _, c := range chains {
		if c.Side == config.PodSide && slices.ContainsFunc(c.Owners, p.owns) && !slices.Contains(paths, c.NetNS) && cookieAt(c.NetNS) == c.Key.Cookie {
			paths = append(paths, c.NetNS)
		}
	}
	return paths, err
}

// cached returns the namespaces that runtimes have attached for the pod.
func (p podName) cached() ([]string, error) {
	var paths []string
	var errs []error
	for _, folder := range cniCaches {
		attachments, err := libcni.NewCNIConfigWithCacheDir(nil, folder, nil).GetCachedAttachments("")
		errs = append(errs, err)
		for _, a := range attachments {
			if p.isOf(a) && !slices.Contains(paths, a.NetNS) && cookieAt(a.NetNS) != 0 {
				paths = append(paths, a.NetNS)
			}
		}
	}
	return paths, errors.Join(errs...)
}

func (p podName) isOf(a *libcni.NetworkAttachment) bool {
	return slices.Contains(a.CniArgs, [2]string{"K8S_POD_NAMESPACE", p.namespace}) &&
		slices.Contains(a.CniArgs, [2]string{"K8S_POD_NAME", p.name})
}

// cookieAt returns the cookie of the namespace that a path leads to, 0 for none.
func cookieAt(path string) uint64 {
	ns, err := netdev.OpenNetNS(path)
	if err != nil {
		return 0
	}
	defer ns.Close()
	return ns.Cookie()
}
