// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"slices"

	"github.com/xdp-chain/xdp-chain/pkg/chain"
)

// namespaces says which pods get the chain, by the Kubernetes namespace that the
// runtime passes as K8S_POD_NAMESPACE in CNI_ARGS. At most one of the two lists
// is given. A pod without a namespace (cnitool's) is in no list.
type namespaces struct {
	Include []string `json:"include"`
	Exclude []string `json:"exclude"`
}

// admits reports whether a pod of the given namespace gets the chain.
func (n *namespaces) admits(namespace string) bool {
	if n.Include != nil {
		return slices.Contains(n.Include, namespace)
	}
	return !slices.Contains(n.Exclude, namespace)
}

// faults returns what is wrong with the lists. Names are checked because a
// pattern such as "kube-*" would match no pod, and silently.
func (n *namespaces) faults() []string {
	var faults []string
	if n.Include != nil && n.Exclude != nil {
		faults = append(faults, "namespaces: give include or exclude, not both; a pod that is not included is excluded already")
	}
	for _, list := range []struct {
		path  string
		names []string
	}{{"namespaces.include", n.Include}, {"namespaces.exclude", n.Exclude}} {
		for i, name := range list.names {
			// Kubernetes' namespaces are DNS labels, as our names are.
			if err := chain.CheckName(name); err != nil {
				faults = append(faults, fmt.Sprintf("%s[%d]: %v", list.path, i, err))
			}
		}
	}
	return faults
}
