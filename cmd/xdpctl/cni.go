// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"debug/buildinfo"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"

	"github.com/containernetworking/cni/libcni"
	"github.com/spf13/cobra"

	"github.com/xdp-chain/xdp-chain/cmd/xdpctl/internal/conflist"
	"github.com/xdp-chain/xdp-chain/cmd/xdpctl/internal/render"
	"github.com/xdp-chain/xdp-chain/internal/catalog"
	"github.com/xdp-chain/xdp-chain/internal/config"
	"github.com/xdp-chain/xdp-chain/internal/node"
	"github.com/xdp-chain/xdp-chain/internal/node/doctor"
	"github.com/xdp-chain/xdp-chain/internal/node/resolve"
	"github.com/xdp-chain/xdp-chain/internal/version"
)

func conflistCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "conflist",
		Short: "Look at network configuration lists",
	}
	cmd.AddCommand(validateCommand())
	return cmd
}

func validateCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "validate FILE...",
		Short: "Say what is wrong with conflists, as far as that can be told without a pod",
		Long: "Say what is wrong with conflists, as far as that can be told without a pod: JSON, fields,\n" +
			"versions of CNI, the order of plugins, capabilities, and every program's object, globals and\n" +
			"maps. Nothing is touched, no root is needed, and the kernel may yet refuse a program, which\n" +
			"doctor finds out.\n\n" + exitHelp,
		Args:              files,
		ValidArgsFunction: ofFiles("conflist"),
	}
	out := addOutput(cmd, formatTable, formatJSON, formatYAML)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		validations := make([]*conflist.Validation, len(args))
		for i, path := range args {
			validations[i] = conflist.Validate(path)
		}
		err := out.print(validations, validationsText(out.screen(), validations, quiet(cmd)), nil)
		if err == nil && slices.ContainsFunc(validations, func(v *conflist.Validation) bool { return len(v.Faults) > 0 }) {
			err = errors.New("") // all is said
		}
		return err
	}
	return cmd
}

func validationsText(s render.Screen, validations []*conflist.Validation, onlyFaults bool) string {
	var out strings.Builder
	line := func(file string, c render.Colour, kind, text string) {
		fmt.Fprintf(&out, "%s: %s%s\n", render.Printable(file), s.Paint(c, kind), render.Printable(text))
	}
	for _, v := range validations {
		for _, f := range v.Faults {
			line(v.File, render.Red, "fault", ": "+f)
		}
		if onlyFaults {
			continue
		}
		for _, w := range v.Warnings {
			line(v.File, render.Yellow, "warning", ": "+w)
		}
		if len(v.Faults) == 0 {
			line(v.File, render.Green, "ok", fmt.Sprintf(", network %s", v.Network))
		}
	}
	return out.String()
}

// foreseen is what a pod would get. Its JSON form is stable: fields are added, none is
// taken away or given another meaning.
type foreseen struct {
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
		f := &foreseen{Network: c.Name, Namespace: namespace, Excluded: !c.Namespaces.Admits(namespace), Chains: []node.PlannedChain{}}
		if !f.Excluded {
			if f.Chains, err = conflist.Preview(c, annotation); err != nil {
				return err
			}
		}
		return out.print(f, f.text(out.screen()), nil)
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
func (f *foreseen) text(s render.Screen) string {
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

// examinePlugin looks for the plugin where the runtime does, which takes the first that it
// finds. It does not run it: what is installed may be anybody's. needed says that a conflist
// names it.
func examinePlugin(folders []string, needed bool) doctor.Finding {
	const check = "plugin"
	for _, folder := range folders {
		path := filepath.Join(folder, conflist.PluginType)
		info, err := os.Stat(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil {
			err = checkInstalled(path, info)
		}
		if err != nil {
			return doctor.Failing(check, fmt.Sprintf("%s: %v", path, err), "install -o root -g root -m 0755 bin/xdp-chain "+folder+"/")
		}
		return examineBuild(path)
	}
	missing := doctor.Warning(check, fmt.Sprintf("%s is in none of %s", conflist.PluginType, strings.Join(folders, ", ")),
		"install -m 0755 bin/xdp-chain "+folders[0]+"/, or name the runtime's folders with --cni-bin; chains that are loaded by hand do without")
	if needed {
		missing.State = doctor.StateFailing
	}
	return missing
}

// checkInstalled returns nil where root can run a file, and nobody else can change it.
func checkInstalled(path string, info fs.FileInfo) error {
	switch mode := info.Mode(); {
	case !mode.IsRegular():
		return errors.New("it is not a regular file")
	case mode.Perm()&0o111 == 0:
		return fmt.Errorf("nobody may execute it (mode %#o)", mode.Perm())
	}
	folder, err := os.Stat(filepath.Dir(path))
	if err != nil {
		return err
	}
	for _, i := range []fs.FileInfo{info, folder} {
		switch owner := i.Sys().(*syscall.Stat_t).Uid; {
		case owner != 0:
			return fmt.Errorf("%s belongs to user %d, who could change what runtimes run as root", i.Name(), owner)
		case i.Mode().Perm()&0o022 != 0:
			return fmt.Errorf("%s is writable by others than root (mode %#o), who could change what runtimes run as root", i.Name(), i.Mode().Perm())
		}
	}
	return nil
}

// examineBuild reads what Go's toolchain wrote into the binary.
func examineBuild(path string) doctor.Finding {
	const (
		check = "plugin"
		// What the plugin's binary was built of.
		pluginPackage = "github.com/xdp-chain/xdp-chain/plugins/meta/xdp-chain"
	)
	reinstall := "build both of one checkout, and replace " + path + " by a rename: running pods are not touched"
	build, err := buildinfo.ReadFile(path)
	switch {
	case err != nil:
		return doctor.Failing(check, fmt.Sprintf("%s: it is no program that Go has built: %v", path, err), reinstall)
	case build.Path != pluginPackage:
		return doctor.Failing(check, fmt.Sprintf("%s: it was built of %s and is another program", path, build.Path), reinstall)
	}
	if arch := version.Setting(build, "GOARCH"); arch != "" && arch != runtime.GOARCH {
		return doctor.Failing(check, fmt.Sprintf("%s: it was built for %s, and this is %s", path, arch, runtime.GOARCH), reinstall)
	}
	if theirs, ours := version.Of(build), version.String(); theirs != ours {
		return doctor.Warning(check, fmt.Sprintf("%s is %s, and xdpctl is %s", path, theirs, ours), reinstall)
	}
	return doctor.OK(check, fmt.Sprintf("%s is %s, as xdpctl is", path, version.Of(build)))
}

// examineConflists says whether each conflist in a folder that names the plugin can do its
// part. It tells besides whether any file names the plugin.
func examineConflists(ctx context.Context, n *node.Node, folder string) (findings []doctor.Finding, named bool) {
	const check = "conflists"
	// libcni takes a folder that is not there for an empty one.
	_, err := os.Stat(folder)
	var files []string
	if err == nil {
		// The files that runtimes read networks from, by name, as they take them.
		files, err = libcni.ConfFiles(folder, []string{".conf", ".conflist", ".json"})
	}
	const byHand = "name the runtime's folder with --cni-conf; chains that are loaded by hand do without"
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return []doctor.Finding{doctor.Warning(check, folder+" does not exist", byHand)}, false
	case err != nil:
		return []doctor.Finding{doctor.Failing(check, err.Error(), "run xdpctl as root")}, false
	}
	first := ""
	for i, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			findings = append(findings, doctor.Failing("conflist", err.Error(), "run xdpctl as root"))
			continue
		}
		if !conflist.Names(content) && !conflist.NamesBeside(file) {
			if i == 0 {
				first = file
			}
			continue
		}
		named = true
		findings = append(findings, examineConflist(ctx, n, file, content))
	}
	switch {
	case !named:
		findings = append(findings, doctor.Warning(check, fmt.Sprintf("none in %s names %s: pods get no chain", folder, conflist.PluginType),
			"add it to the network's conflist, as conf/10-podnet.conflist does, or "+byHand))
	case first != "":
		findings = append(findings, doctor.Warning(check, fmt.Sprintf("%s comes first by name, and does not name %s", first, conflist.PluginType),
			"containerd and CRI-O take the first file for every pod: add the plugin there, unless that network is one of several (Multus)"))
	}
	return findings, named
}

func examineConflist(ctx context.Context, n *node.Node, file string, content []byte) doctor.Finding {
	const check = "conflist"
	name := filepath.Base(file)
	var single struct {
		Plugins json.RawMessage `json:"plugins"`
	}
	if json.Unmarshal(content, &single) == nil && single.Plugins == nil && !conflist.NamesBeside(file) {
		return doctor.Failing(check, fmt.Sprintf("%s: it is one plugin and no list; %s works behind the plugin that makes the interface alone", name, conflist.PluginType),
			"make it a conflist with both in plugins, as conf/10-podnet.conflist is")
	}
	v := conflist.Validate(file)
	if len(v.Faults) > 0 {
		return doctor.Failing(check, name+": "+strings.Join(v.Faults, "; "), "mend it, and try it with xdpctl conflist validate "+file)
	}
	if err := verify(ctx, n, v.Conf); err != nil {
		return doctor.Failing(check, fmt.Sprintf("%s: no pod of network %s could be added: %s", name, v.Network, render.InOneLine(err)),
			"STATUS fails with this, which makes the node NotReady on newer runtimes; mend what it names")
	}
	if len(v.Warnings) > 0 {
		return doctor.Warning(check, name+": "+strings.Join(v.Warnings, "; "), "mend it, and try it with xdpctl conflist validate "+file)
	}
	return doctor.OK(check, fmt.Sprintf("%s: the chains of network %s can be built", name, v.Network))
}

// verify asks what STATUS asks.
func verify(ctx context.Context, n *node.Node, c *config.Conf) error {
	a := resolve.AttachmentOf(c)
	var err error
	if a.Catalog, err = catalog.Open(c.CatalogDir); err != nil {
		return err
	}
	var allowed []string
	if c.Annotations != nil {
		allowed = c.Annotations.Allow
	}
	return n.Verify(ctx, a, allowed...)
}
