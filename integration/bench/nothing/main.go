// SPDX-License-Identifier: Apache-2.0

// Nothing is a CNI plugin that does nothing: what it costs is what any plugin
// costs that is written in Go with CNI's skeleton. The benchmark runs it beside
// ours.
package main

import (
	"github.com/containernetworking/cni/pkg/skel"
	"github.com/containernetworking/cni/pkg/types"
	current "github.com/containernetworking/cni/pkg/types/100"
	"github.com/containernetworking/cni/pkg/version"
)

func main() {
	skel.PluginMainFuncs(skel.CNIFuncs{
		Add: func(*skel.CmdArgs) error { return types.PrintResult(&current.Result{}, current.ImplementedSpecVersion) },
		Del: func(*skel.CmdArgs) error { return nil },
	}, version.All, "CNI plugin nothing")
}
