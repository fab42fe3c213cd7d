#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# need.sh THING... sees to it that this machine has what a make target needs. What
# is missing is installed with apt when root runs it on Debian or Ubuntu; anybody
# else is told what to install. A THING is a command, or the path of a header.
set -euo pipefail

# package prints the Debian package that brings a thing.
package() {
	case $1 in
	clang-19) echo clang-19 ;;
	llvm-strip-19) echo llvm-19 ;;
	/usr/include/bpf/bpf_helpers.h) echo libbpf-dev ;;
	/usr/include/linux/bpf.h) echo linux-libc-dev ;;
	/usr/include/stdio.h) echo libc6-dev ;;
	gcc | make) echo "$1" ;;
	ip) echo iproute2 ;;
	ping) echo iputils-ping ;;
	qemu-system-x86_64) echo qemu-system-x86 ;;
	nsenter) echo util-linux ;;
	bpftool) echo bpftool ;;
	sysctl) echo procps ;;
	*)
		echo "$0: no package known for $1" >&2
		return 1
		;;
	esac
}

# ip lies in sbin, which is not in every user's PATH.
PATH=$PATH:/usr/sbin:/sbin

missing=()
for thing in "$@"; do
	if [[ $thing == /* ]]; then
		[[ -e $thing ]] && continue
	else
		command -v "$thing" >/dev/null && continue
	fi
	missing+=("$(package "$thing")")
done
[[ ${#missing[@]} -eq 0 ]] && exit 0

if [[ $EUID -ne 0 ]] || ! command -v apt-get >/dev/null; then
	echo "missing on this machine; please install (Debian's package names): ${missing[*]}" >&2
	exit 1
fi
echo "installing with apt: ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -qq --no-install-recommends -y "${missing[@]}" >/dev/null
