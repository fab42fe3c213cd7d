#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# compile.sh SOURCE.c OUT.o compiles one BPF object, byte for byte the same in
# every checkout and on every machine that has the pinned clang: the objects are
# committed, and a rebuild that differs must mean that a source differs.
#
# For go:generate lines; paths are relative to the caller's folder. Sources lie
# in this repository and find bpf/include by #include "parse.h".
set -eu

version=19.1

if [ $# -ne 2 ]; then
	echo "usage: $0 SOURCE.c OUT.o" >&2
	exit 2
fi

need() {
	found=$("$1" --version 2>/dev/null | sed -n 's/.*version \([0-9]*\.[0-9]*\).*/\1/p' | head -n 1)
	if [ "$found" != "$version" ]; then
		echo "$0: $1 is ${found:-missing}, the objects are built with $version alone: apt-get install clang-19 llvm-19 libbpf-dev linux-libc-dev" >&2
		exit 1
	fi
}
need clang-19
need llvm-strip-19

root=$(cd "$(dirname "$0")/.." && pwd -P)
source=$(realpath "$1")
out=$(realpath -m "$2")

case $source in
"$root"/*) ;;
*)
	echo "$0: $source is outside of $root; its path would end up in the object" >&2
	exit 1
	;;
esac

# The file names in the line info (.BTF.ext), which the verifier's log quotes, are
# relative to the repository, and clang reads the quoted lines from there.
cd "$root"

# asm/types.h lies in the folder of the machine's architecture, which a compiler
# for bpf does not look into by itself.
arch=/usr/include/$(uname -m)-linux-gnu

# bpfel, mcpu=v3: 32-bit jumps, known to every kernel since 5.1.
clang-19 -target bpfel -mcpu=v3 -std=gnu17 -O2 -g -Wall -Wextra -Werror \
	-fno-ident -ffile-prefix-map="$root"=. \
	-Ibpf/include -isystem "$arch" \
	-c "${source#"$root"/}" -o "$out.tmp"

# DWARF goes, BTF stays. The old object stays until the new one is whole.
llvm-strip-19 -g "$out.tmp"
mv "$out.tmp" "$out"
