// SPDX-License-Identifier: Apache-2.0

package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/xdp-chain/xdp-chain/internal/strict"
	"github.com/xdp-chain/xdp-chain/pkg/chain"
)

// Namespaces says which pods get the chain, by the Kubernetes namespace that the
// runtime passes as K8S_POD_NAMESPACE in CNI_ARGS. At most one of the two lists
// is given. A pod without a namespace (cnitool's) is in no list.
type Namespaces struct {
	// Include, where it is not nil, are the namespaces whose pods get the chain.
	Include []string `json:"include"`
	// Exclude are the namespaces whose pods do not get it.
	Exclude []string `json:"exclude"`
}

// Admits reports whether a pod of the given namespace gets the chain.
func (n *Namespaces) Admits(namespace string) bool {
	if n.Include != nil {
		return slices.Contains(n.Include, namespace)
	}
	return !slices.Contains(n.Exclude, namespace)
}

// faults returns what is wrong with the lists. Names are checked because a
// pattern such as "kube-*" would match no pod, and silently.
func (n *Namespaces) faults() strict.Faults {
	var faults strict.Faults
	if n.Include != nil && n.Exclude != nil {
		faults = append(faults, strict.Faultf("namespaces", "give include or exclude, not both; a pod that is not included is excluded already"))
	}
	for _, list := range []struct {
		path  string
		names []string
	}{{"namespaces.include", n.Include}, {"namespaces.exclude", n.Exclude}} {
		for i, name := range list.names {
			// Kubernetes' namespaces are DNS labels, as our names are.
			if err := chain.CheckName(name); err != nil {
				faults = append(faults, strict.Fault{Path: fmt.Sprintf("%s[%d]", list.path, i), Text: err.Error()})
			}
		}
	}
	return faults
}

// AnnotationsCapability is the capability with which an entry asks its runtime for the
// annotations of pods, and the field of runtimeConfig in which it gets them (containerd
// since 1.5, CRI-O since 1.29).
const AnnotationsCapability = "io.kubernetes.cri.pod-annotations"

// RuntimeConfig is what the runtime hands over for an entry's capabilities.
type RuntimeConfig struct {
	// PodAnnotations are the annotations of the pod; nil where the runtime gives none.
	PodAnnotations map[string]string
}

// UnmarshalJSON reads the capabilities that we know; others belong to other plugins.
func (r *RuntimeConfig) UnmarshalJSON(document []byte) error {
	var given map[string]json.RawMessage
	if err := json.Unmarshal(document, &given); err != nil {
		return strict.Faults{strict.Faultf("", "want an object, got %s", strict.Shown(document))}
	}
	annotations, ok := given[AnnotationsCapability]
	if !ok {
		return nil
	}
	err := strict.JSON(annotations, &r.PodAnnotations, strict.Options{})
	if faults, ok := errors.AsType[strict.Faults](err); ok {
		for i := range faults {
			faults[i] = faults[i].Below(AnnotationsCapability)
		}
	}
	return err
}

// HasAnnotationsCapability tells whether the entry asks for the annotations of pods.
func (c *Conf) HasAnnotationsCapability() bool {
	var asked map[string]any
	// What is no object asks for nothing; libcni refuses it.
	_ = json.Unmarshal(c.Capabilities, &asked)
	return asked[AnnotationsCapability] == true
}
