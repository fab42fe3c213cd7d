// SPDX-License-Identifier: Apache-2.0

package kubernetes

import (
	"errors"
	"io"
	"os"
	"regexp"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"github.com/xdp-chain/xdp-chain/internal/catalog"
)

// manifest is ValidatingAdmissionPolicy and ValidatingAdmissionPolicyBinding of
// admissionregistration.k8s.io/v1, as far as the file uses them: the API server warns
// of an unknown field and drops it.
type manifest struct {
	APIVersion string `yaml:"apiVersion"`
	Kind       string
	Metadata   struct{ Name string }
	Spec       struct {
		FailurePolicy    string `yaml:"failurePolicy"`
		MatchConstraints struct {
			ResourceRules []rule `yaml:"resourceRules"`
		} `yaml:"matchConstraints"`
		MatchConditions   []expression `yaml:"matchConditions"`
		Variables         []expression
		Validations       []validation
		PolicyName        string   `yaml:"policyName"`
		ValidationActions []string `yaml:"validationActions"`
	}
}

type rule struct {
	APIGroups   []string `yaml:"apiGroups"`
	APIVersions []string `yaml:"apiVersions"`
	Operations  []string
	Resources   []string
}

type expression struct{ Name, Expression string }

type validation struct {
	Expression        string
	MessageExpression string `yaml:"messageExpression"`
	Reason            string
}

func read(t *testing.T, name string) (all []manifest) {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	decoder := yaml.NewDecoder(f)
	decoder.KnownFields(true)
	for {
		var m manifest
		switch err := decoder.Decode(&m); {
		case errors.Is(err, io.EOF):
			return all
		case err != nil:
			t.Fatal(err)
		}
		all = append(all, m)
	}
}

// quoted are the annotations that expressions name.
var quoted = regexp.MustCompile(`'(xdp-chain\.io/[^']*)'`)

func TestProgramNames(t *testing.T) {
	all := read(t, "program-names.yaml")
	if len(all) != 2 {
		t.Fatalf("%d manifests, want the policy and its binding", len(all))
	}
	policy, binding := all[0], all[1]
	for i, kind := range []string{"ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"} {
		if m := all[i]; m.Kind != kind || m.APIVersion != "admissionregistration.k8s.io/v1" {
			t.Errorf("manifest %d is %s of %s, want %s", i+1, m.Kind, m.APIVersion, kind)
		}
	}
	if got := binding.Spec.PolicyName; got != policy.Metadata.Name || got == "" {
		t.Errorf("the binding is of policy %q, the policy is %q", got, policy.Metadata.Name)
	}
	if diff := cmp.Diff([]string{"Deny"}, binding.Spec.ValidationActions); diff != "" {
		t.Errorf("actions (-want +got):\n%s", diff)
	}
	if got := policy.Spec.FailurePolicy; got != "Fail" {
		t.Errorf("failurePolicy %q lets by what cannot be judged", got)
	}
	// All by which an annotation gets onto a pod.
	want := []rule{{[]string{""}, []string{"v1"}, []string{"CREATE", "UPDATE"}, []string{"pods", "pods/status", "pods/binding", "bindings"}}}
	if diff := cmp.Diff(want, policy.Spec.MatchConstraints.ResourceRules); diff != "" {
		t.Errorf("what it is asked about (-want +got):\n%s", diff)
	}

	var named []string
	for _, e := range slices.Concat(policy.Spec.MatchConditions, policy.Spec.Variables) {
		for _, m := range quoted.FindAllStringSubmatch(e.Expression, -1) {
			named = append(named, m[1])
		}
	}
	slices.Sort(named)
	if diff := cmp.Diff([]string{"xdp-chain.io/allow", catalog.Annotation}, slices.Compact(named)); diff != "" {
		t.Errorf("annotations that it looks at (-want +got):\n%s", diff)
	}
}
