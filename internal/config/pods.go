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

// ErrPolicy is wrapped by every error about something that a pod asked for and that
// the network's policy does not allow.
var ErrPolicy = errors.New("refused by policy")

// Policy says what the annotations of a network's pods may ask for. The zero Policy
// allows nothing; a nil one ignores annotations.
type Policy struct {
	// Allow has the names of the programs that may be asked for.
	Allow []string `json:"allow"`
	// Priorities is where their priorities must lie, whoever gives them.
	Priorities Band `json:"priorities"`
	// Max is how many programs a pod may ask for.
	Max int `json:"max"`
}

// The figures of a policy that does not give them. The band lies behind the default
// priority of a configuration's own programs, [chain.DefaultPriority].
const (
	defaultLowest  = 100
	defaultHighest = 199
	defaultMax     = 4
	// highestMax is how many members the larger of the dispatchers calls.
	highestMax = 64
)

// UnmarshalJSON reads a configuration's field annotations, strictly: what is not
// mentioned is none for allow, 100 to 199 for priorities and 4 for max. Errors are faults
// with the paths of their places in the field.
func (p *Policy) UnmarshalJSON(text []byte) error {
	type plain Policy
	given := plain{Priorities: Band{Min: defaultLowest, Max: defaultHighest}, Max: defaultMax}
	if err := strict.JSON(text, &given, strict.Options{}); err != nil {
		return err
	}
	*p = Policy(given)
	return p.faults().Err()
}

func (p *Policy) faults() strict.Faults {
	var faults strict.Faults
	for i, name := range p.Allow {
		path := fmt.Sprintf("allow[%d]", i)
		if err := chain.CheckName(name); err != nil {
			faults = append(faults, strict.Faultf(path, "%v", err))
		} else if first := slices.Index(p.Allow, name); first < i {
			faults = append(faults, strict.Faultf(path, "%q is allowed by allow[%d] already", name, first))
		}
	}
	if err := p.Priorities.Check(); err != nil {
		faults = append(faults, strict.Faultf("priorities", "%v", err))
	}
	if p.Max < 0 || p.Max > highestMax {
		faults = append(faults, strict.Faultf("max", "%d; it goes from 0 to %d", p.Max, highestMax))
	}
	return faults
}

// Band is the priorities from Min to Max, both included, that a program from a pod's
// annotation may have.
type Band struct {
	Min int `json:"min"`
	Max int `json:"max"`
}

// Check returns nil for a band that holds at least one priority and none that is no
// priority, otherwise an error that satisfies errors.Is(err, [chain.ErrInvalid]).
func (b Band) Check() error {
	if b.Min < 0 || b.Max > chain.MaxPriority || b.Min > b.Max {
		return fmt.Errorf("%w: priorities from %d to %d; give a min that is not over max, both from 0 to %d", chain.ErrInvalid, b.Min, b.Max, chain.MaxPriority)
	}
	return nil
}

// Admit returns nil for a priority that lies in the band, otherwise an error that
// satisfies errors.Is(err, [ErrPolicy]). A nil band admits every priority.
func (b *Band) Admit(priority int) error {
	if b == nil || b.Min <= priority && priority <= b.Max {
		return nil
	}
	return fmt.Errorf("%w: priority %d; annotations may ask for %d to %d", ErrPolicy, priority, b.Min, b.Max)
}
