// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/xdp-chain/xdp-chain/cmd/xdpctl/internal/conflist"
	"github.com/xdp-chain/xdp-chain/cmd/xdpctl/internal/render"
	"github.com/xdp-chain/xdp-chain/internal/catalog"
	"github.com/xdp-chain/xdp-chain/internal/config"
	"github.com/xdp-chain/xdp-chain/internal/node"
)

// plannedChains is what a pod would get. Its JSON form is stable: fields are added, none is
// taken away or given another meaning.
type plannedChains struct {
	Network   string `json:"network"`
	Namespace string `json:"namespace,omitempty"`
	// Excluded says that pods of the namespace pass through untouched.
	Excluded bool `json:"excluded"`
	// Chains are the pod's side's before the host's; none for a side without programs.
	Chains []node.PlannedChain `json:"chains"`
}

func policyCommand() *cobra.Command {
	var file, annotation, namespace string
	cmd := &cobra.Command{
		Use:   "policy --conflist FILE [--annotation TEXT]",
		Short: "Say what chain a pod would get, or why it would be refused",
		Long: "Say what chain a pod would get with a conflist and with the annotation " + catalog.Annotation + ",\n" +
			"or why it would be refused. Nothing is touched: the kernel may yet refuse a program.\n" +
			"The exit status is 2 if the pod would be refused.",
		Args: noArguments,
	}
	cmd.Flags().StringVar(&file, "conflist", "", "file with the network's configuration list")
	cmd.Flags().StringVar(&annotation, "annotation", "", "value of the pod's annotation "+catalog.Annotation)
	cmd.Flags().StringVar(&namespace, "namespace", "", "Kubernetes namespace of the pod")
	out := addOutput(cmd, formatTable, formatJSON, formatYAML)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if file == "" {
			return errors.New("which network? Give its configuration list, such as --conflist /etc/cni/net.d/10-podnet.conflist")
		}
		c, err := conflist.Read(file)
		if err != nil {
			return err
		}
		warn(cmd.ErrOrStderr(), c, annotation)
		f := &plannedChains{Network: c.Name, Namespace: namespace, Excluded: !c.Namespaces.Admits(namespace), Chains: []node.PlannedChain{}}
		if !f.Excluded {
			if f.Chains, err = conflist.Preview(c, annotation); err != nil {
				return err
			}
		}
		return out.print(f, func() string { return f.text(out.screen()) }, nil)
	}
	return cmd
}

// warn says what keeps annotations from being heard.
func warn(w io.Writer, c *config.Conf, annotation string) {
	switch {
	case c.Annotations == nil && annotation != "":
		fmt.Fprintf(w, "xdpctl: warning: the annotation is ignored: the %s entry has no field \"annotations\"\n", conflist.PluginType)
	case c.Annotations != nil && !c.HasAnnotationsCapability():
		fmt.Fprintf(w, "xdpctl: warning: runtimes will hand over no annotations: the %s entry lacks \"capabilities\": {%q: true}\n", conflist.PluginType, config.AnnotationsCapability)
	}
}

// text has a line for each member.
func (f *plannedChains) text(s render.Screen) string {
	switch {
	case f.Excluded && f.Namespace == "":
		return fmt.Sprintf("no chain: network %s has it for some namespaces alone; give --namespace\n", f.Network)
	case f.Excluded:
		return fmt.Sprintf("no chain: network %s excludes the pods of namespace %s\n", f.Network, f.Namespace)
	case len(f.Chains) == 0:
		return fmt.Sprintf("no chain: network %s lists no programs, and the annotation names none\n", f.Network)
	}
	t := render.New("", render.Col("SIDE"), render.Col("POSITION"), render.Col("NAME"), render.Col("PRIORITY"), render.Col("PROCEEDS ON"),
		render.Col("SOURCE"), render.Col("ORIGIN"))
	for _, c := range f.Chains {
		for _, m := range c.Members {
			origin := m.Origin
			if m.CatalogFile != "" {
				origin += ", by " + m.CatalogFile
			}
			t.Add(c.Side, m.Position, m.Name, m.Priority, m.ProceedOn, m.Source, origin)
		}
	}
	return t.Text(s)
}
