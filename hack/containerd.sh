#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Brings the container runtimes that integration/containerd drives into
# .cache/containerd: in distribution/ this system's containerd, runc and a static
# busybox, unpacked from their packages, since installing containerd would start it
# as a service; in upstream/ a containerd of the current series, built from the Go
# module proxy. What is there already is kept; make clean takes it away.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."

cache=.cache/containerd
upstream=github.com/containerd/containerd/v2
upstream_version=v2.4.2

# Each folder is renamed into place when it is whole: what an interrupted run leaves
# is begun anew.
mkdir -p $cache
work=$(mktemp -d $cache/fetch-XXXXXX)
trap 'rm -rf "$work"' EXIT

if [[ ! -e $cache/distribution ]]; then
	if ! command -v apt-get >/dev/null || [[ $EUID -ne 0 ]]; then
		# The suite says so, too: it skips, and fails when CI=true.
		echo "no container runtimes: they come from Debian's or Ubuntu's packages, for root" >&2
		exit
	fi
	echo "fetching the packages of containerd, runc and busybox-static into $cache/distribution"
	apt-get update -qq
	# runc's library comes along: not every system has it. apt's own user could not
	# write to a checkout.
	(cd "$work" && apt-get download -qq -o APT::Sandbox::User=root containerd runc libseccomp2 busybox-static)
	for package in "$work"/*.deb; do
		dpkg -x "$package" "$work/tree"
	done
	mv -T "$work/tree" $cache/distribution
fi

if [[ ! -e $cache/upstream-$upstream_version ]]; then
	echo "building containerd $upstream_version into $cache/upstream-$upstream_version"
	rm -rf $cache/upstream-*
	mkdir "$work/bin"
	# The snapshotters left out need packages or C libraries; overlayfs is what is used.
	CGO_ENABLED=0 GOBIN=$PWD/$work/bin go install -trimpath -tags 'no_btrfs no_devmapper no_zfs' \
		-ldflags "-s -w -X $upstream/version.Version=$upstream_version" \
		$upstream/cmd/{containerd,containerd-shim-runc-v2}@$upstream_version
	mv -T "$work/bin" $cache/upstream-$upstream_version
fi
