// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"debug/buildinfo"
	"encoding/json"
	"errors"
	"fmt"
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

func doctorCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Look at everything that chains depend on, and say what to do about it",
		Long: "Look at everything that chains depend on, and say what to do about it: the kernel, bpffs,\n" +
			"the CNI plugin and its conflists, the catalog, and what is kept of chains. Of a conflist that\n" +
			"names the plugin, its chains are built and verified as STATUS does, and not attached. Nothing\n" +
			"is changed; only what was found out about the kernel is noted in /run/xdp-chain.\n\n" + exitHelp,
		Args: noArguments,
	}
	plugins := cmd.Flags().StringSlice("cni-bin", []string{"/opt/cni/bin"}, "`folders` in which the runtime looks for CNI plugins")
	networks := cmd.Flags().String("cni-conf", "/etc/cni/net.d", "`folder` in which the runtime looks for conflists")
	out := addOutput(cmd, formatTable, formatJSON, formatYAML)
	runWithin(cmd, func(ctx context.Context, _ []string) error {
		findings := examine(ctx, node.Default(), *plugins, *networks)
		err := out.print(findings, func() string { return findingsText(out.screen(), findings, quiet(cmd)) }, nil)
		if err == nil && slices.ContainsFunc(findings, func(f doctor.Finding) bool { return f.State == doctor.StateFailing }) {
			err = differs()
		}
		return err
	})
	return cmd
}

// examine goes from the kernel to what is kept of chains. plugins and networks are where the
// runtime looks for these.
func examine(ctx context.Context, n *node.Node, plugins []string, networks string) []doctor.Finding {
	kernel := doctor.ExamineKernel(n.Node)
	conflists, named := examineConflists(ctx, n, networks)
	installed := []doctor.Finding{examinePlugin(plugins, named)}
	programs := []doctor.Finding{examineCatalog(config.DefaultCatalogDir)}
	return slices.Concat(kernel, installed, conflists, programs, doctor.ExamineState(n.Node))
}

func examineCatalog(dir string) doctor.Finding {
	const check = "catalog"
	c, err := catalog.Open(dir)
	if err == nil {
		err = c.Check()
	}
	if err != nil {
		return doctor.Failing(check, render.InOneLine(err), "mend the file, or take it out of the folder: its program can be used by nobody until then")
	}
	return doctor.OK(check, fmt.Sprintf("%d programs, %d of them built in", len(c.Names()), len(catalog.Builtins())))
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

// The columns in which findings are printed; what is found follows.
const (
	stateWidth = len("failing")
	checkWidth = len("trampolines")
	foundAt    = stateWidth + render.Gap + checkWidth + render.Gap
)

var stateColours = map[doctor.FindingState]render.Colour{
	doctor.StateOK: render.Green, doctor.StateWarning: render.Yellow, doctor.StateFailing: render.Red,
}

func findingsText(s render.Screen, findings []doctor.Finding, onlyFaults bool) string {
	var out strings.Builder
	for _, f := range findings {
		if f.State == doctor.StateOK && onlyFaults {
			continue
		}
		state := s.Paint(stateColours[f.State], fmt.Sprintf("%-*s", stateWidth, f.State))
		fmt.Fprintf(&out, "%s  %-*s  %s", state, checkWidth, f.Check, s.Wrap(f.Found, foundAt, foundAt))
		if f.Do != "" {
			out.WriteString(strings.Repeat(" ", foundAt) + s.Wrap("to do: "+f.Do, foundAt, foundAt))
		}
	}
	return out.String()
}
