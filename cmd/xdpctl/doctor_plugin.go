// SPDX-License-Identifier: Apache-2.0

package main

import (
	"debug/buildinfo"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"

	"github.com/xdp-chain/xdp-chain/internal/node"
	"github.com/xdp-chain/xdp-chain/internal/version"
)

// pluginPackage is what the plugin's binary was built of.
const pluginPackage = "github.com/xdp-chain/xdp-chain/plugins/meta/xdp-chain"

// examinePlugin looks for the plugin where the runtime does, which takes the first that it
// finds. It does not run it: what is installed may be anybody's. needed says that a conflist
// names it.
func examinePlugin(folders []string, needed bool) node.Finding {
	const check = "plugin"
	for _, folder := range folders {
		path := filepath.Join(folder, pluginType)
		info, err := os.Stat(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil {
			err = checkInstalled(path, info)
		}
		if err != nil {
			return node.Failing(check, fmt.Sprintf("%s: %v", path, err), "install -o root -g root -m 0755 bin/xdp-chain "+folder+"/")
		}
		return examineBuild(path)
	}
	missing := node.Warning(check, fmt.Sprintf("%s is in none of %s", pluginType, strings.Join(folders, ", ")),
		"install -m 0755 bin/xdp-chain "+folders[0]+"/, or name the runtime's folders with --cni-bin; chains that are loaded by hand do without")
	if needed {
		missing.State = node.StateFailing
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
func examineBuild(path string) node.Finding {
	const check = "plugin"
	reinstall := "build both of one checkout, and replace " + path + " by a rename: running pods are not touched"
	build, err := buildinfo.ReadFile(path)
	switch {
	case err != nil:
		return node.Failing(check, fmt.Sprintf("%s: it is no program that Go has built: %v", path, err), reinstall)
	case build.Path != pluginPackage:
		return node.Failing(check, fmt.Sprintf("%s: it was built of %s and is another program", path, build.Path), reinstall)
	}
	if arch := version.Setting(build, "GOARCH"); arch != "" && arch != runtime.GOARCH {
		return node.Failing(check, fmt.Sprintf("%s: it was built for %s, and this is %s", path, arch, runtime.GOARCH), reinstall)
	}
	if theirs, ours := version.Of(build), version.String(); theirs != ours {
		return node.Warning(check, fmt.Sprintf("%s is %s, and xdpctl is %s", path, theirs, ours), reinstall)
	}
	return node.OK(check, fmt.Sprintf("%s is %s, as xdpctl is", path, version.Of(build)))
}
