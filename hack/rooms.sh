#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# rooms.sh [REV]: how many files and lines of Go each folder has in a revision (HEAD),
# without tests. Generated files, *_gen.go, are counted apart. The total for product code
# is that of pkg, internal, cmd, plugins and bpf without what only tests import, and without
# what go generate runs.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."

rev=$(git rev-parse --verify --quiet "${1:-HEAD}^{commit}") || {
	echo "$0: no revision ${1:-HEAD}" >&2
	exit 1
}

# A count of lines for each file, as REV:PATH:LINES.
git grep -c '' "$rev" -- '*.go' ':!*_test.go' | awk -F : '
	function room(path) { return match(path, /\/[^\/]*$/) ? substr(path, 1, RSTART - 1) : "." }
	function add(name, generated, lines) {
		if (generated) { made[name] += lines } else { files[name]++; written[name] += lines }
		names[name] = 1
	}
	function row(name, to) { printf "%-40s %6d %7d %10d\n", name, files[name], written[name], made[name] | to }
	{
		dir = room($2)
		generated = $2 ~ /_gen\.go$/
		add(dir, generated, $3)
		support = "internal/(testenv|crashtest|plugintest|schematest|sandbox|enum/enumtest|node/nodetest)|pkg/dispatcher/internal/chaintest|bpf/internal/xdptest"
		if (dir ~ "^(" support ")(/|$)") { kind = "test support" }
		else if (dir == "internal/enum/enumgen") { kind = "everything else" }
		else if (dir ~ /^(pkg|internal|cmd|plugins|bpf)(\/|$)/) { kind = "product code" }
		else { kind = "everything else" }
		total[kind] = 1
		add("= " kind, generated, $3)
	}
	END {
		printf "%-40s %6s %7s %10s\n", "folder", "files", "lines", "generated"
		fflush() # before what sort prints
		for (name in names) { if (name !~ /^=/) { row(name, "sort") } }
		close("sort")
		print ""
		fflush()
		for (kind in total) { row("= " kind, "sort -r") }
	}'
