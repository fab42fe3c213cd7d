#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Builds the CNI plugins that the tests, the demo and the benchmarks chain with,
# and cnitool, into .cache/bin, each in the version that go.mod pins. Does nothing
# where these versions are there already.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."

cni=github.com/containernetworking/cni
plugins=github.com/containernetworking/plugins
cni_version=$(go list -m -f '{{.Version}}' $cni)
plugins_version=$(go list -m -f '{{.Version}}' $plugins)

stamp=.cache/bin/.built-cni-$cni_version-plugins-$plugins_version
[[ -e $stamp ]] && exit 0

echo "building cnitool $cni_version and the CNI plugins $plugins_version into .cache/bin"
mkdir -p .cache/bin
rm -f .cache/bin/.built-*
export CGO_ENABLED=0 GOBIN=$PWD/.cache/bin
go install -trimpath $cni/cnitool@"$cni_version"
go install -trimpath -ldflags "-X $plugins/pkg/utils/buildversion.BuildVersion=$plugins_version" \
	$plugins/plugins/main/{bridge,ptp,loopback}@"$plugins_version" \
	$plugins/plugins/ipam/host-local@"$plugins_version" \
	$plugins/plugins/meta/{tuning,portmap}@"$plugins_version"
touch "$stamp"
