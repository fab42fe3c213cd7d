// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/containernetworking/cni/libcni"

	"github.com/xdp-chain/xdp-chain/internal/catalog"
	"github.com/xdp-chain/xdp-chain/internal/config"
	"github.com/xdp-chain/xdp-chain/internal/node"
)

// cniFolders are where the runtime looks for plugins, and for networks.
type cniFolders struct {
	bin  []string
	conf string
}

// confExtensions end the names of files that runtimes read networks from.
var confExtensions = []string{".conf", ".conflist", ".json"}

// examine says whether the plugin and each conflist that names it can do their part.
func (f cniFolders) examine(ctx context.Context, n *node.Node) []node.Finding {
	networks, named := f.examineConf(ctx, n)
	return append([]node.Finding{examinePlugin(f.bin, named)}, networks...)
}

// examineConf tells besides whether any file names the plugin.
func (f cniFolders) examineConf(ctx context.Context, n *node.Node) (findings []node.Finding, named bool) {
	const check = "conflists"
	// libcni takes a folder that is not there for an empty one.
	_, err := os.Stat(f.conf)
	var files []string
	if err == nil {
		files, err = libcni.ConfFiles(f.conf, confExtensions) // by name, as runtimes take them
	}
	const byHand = "name the runtime's folder with --cni-conf; chains that are loaded by hand do without"
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return []node.Finding{node.Warning(check, f.conf+" does not exist", byHand)}, false
	case err != nil:
		return []node.Finding{node.Failing(check, err.Error(), "run xdpctl as root")}, false
	}
	first := ""
	for i, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			findings = append(findings, node.Failing("conflist", err.Error(), "run xdpctl as root"))
			continue
		}
		if !names(content) && !namedBeside(file) {
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
		findings = append(findings, node.Warning(check, fmt.Sprintf("none in %s names %s: pods get no chain", f.conf, pluginType),
			"add it to the network's conflist, as conf/10-podnet.conflist does, or "+byHand))
	case first != "":
		findings = append(findings, node.Warning(check, fmt.Sprintf("%s comes first by name, and does not name %s", first, pluginType),
			"containerd and CRI-O take the first file for every pod: add the plugin there, unless that network is one of several (Multus)"))
	}
	return findings, named
}

// names tells whether a network's file names the plugin. One that is not JSON does where it
// has the name anywhere.
func names(content []byte) bool {
	var network struct {
		Type    string                  `json:"type"`
		Plugins []struct{ Type string } `json:"plugins"`
	}
	if err := json.Unmarshal(content, &network); err != nil {
		return bytes.Contains(content, []byte(`"`+pluginType+`"`))
	}
	for _, p := range network.Plugins {
		if p.Type == pluginType {
			return true
		}
	}
	return network.Type == pluginType
}

// namedBeside tells whether a plugin in a file of its own, which libcni adds to the network,
// names ours.
func namedBeside(file string) bool {
	list, err := libcni.NetworkConfFromFile(file)
	if err != nil {
		return false
	}
	for _, p := range list.Plugins {
		if p.Network.Type == pluginType {
			return true
		}
	}
	return false
}

func examineConflist(ctx context.Context, n *node.Node, file string, content []byte) node.Finding {
	const check = "conflist"
	name := filepath.Base(file)
	var single struct {
		Plugins json.RawMessage `json:"plugins"`
	}
	if json.Unmarshal(content, &single) == nil && single.Plugins == nil && !namedBeside(file) {
		return node.Failing(check, fmt.Sprintf("%s: it is one plugin and no list; %s works behind the plugin that makes the interface alone", name, pluginType),
			"make it a conflist with both in plugins, as conf/10-podnet.conflist is")
	}
	j := judge(file)
	if len(j.Faults) > 0 {
		return node.Failing(check, name+": "+strings.Join(j.Faults, "; "), "mend it, and try it with xdpctl conflist validate "+file)
	}
	if err := verify(ctx, n, j.conf); err != nil {
		return node.Failing(check, fmt.Sprintf("%s: no pod of network %s could be added: %s", name, j.Network, inOneLine(err)),
			"STATUS fails with this, which makes the node NotReady on newer runtimes; mend what it names")
	}
	if len(j.Warnings) > 0 {
		return node.Warning(check, name+": "+strings.Join(j.Warnings, "; "), "mend it, and try it with xdpctl conflist validate "+file)
	}
	return node.OK(check, fmt.Sprintf("%s: the chains of network %s can be built", name, j.Network))
}

// verify asks what STATUS asks.
func verify(ctx context.Context, n *node.Node, c *config.Conf) error {
	a := node.AttachmentOf(c)
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
