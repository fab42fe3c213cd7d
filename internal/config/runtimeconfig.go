// SPDX-License-Identifier: Apache-2.0

package config

import (
	"encoding/json"
	"errors"

	"github.com/xdp-chain/xdp-chain/internal/strict"
)

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
