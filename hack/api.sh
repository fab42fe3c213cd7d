#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# api.sh compares the exported face of each package below pkg/ with the one committed in
# hack/api, and fails where they differ. api.sh write commits the face as it is now to
# hack/api.
#
# hack/api holds export data, as golang.org/x/exp/cmd/apidiff writes and reads it.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."

version=v0.0.0-20261113113407-e3970619a1a4
tool=$PWD/.cache/bin/apidiff-$version
if [[ ! -x $tool ]]; then
	mkdir -p .cache/bin
	GOBIN=$PWD/.cache/bin go install golang.org/x/exp/cmd/apidiff@$version
	mv .cache/bin/apidiff "$tool"
fi

# Export data says where each name is declared. With these it says the same on every machine.
export GOFLAGS="${GOFLAGS:-} -trimpath" PWD=/proc/self/cwd

module=$(go list -m)
mapfile -t packages < <(go list ./pkg/... | grep -v /internal/)
baseline() { # of a package
	local name=${1#"$module"/pkg/}
	echo "hack/api/${name//\//-}.export"
}

if [[ ${1:-} == write ]]; then
	rm -f hack/api/*.export
	for package in "${packages[@]}"; do
		"$tool" -w "$(baseline "$package")" "$package"
	done
	exit
fi

differs=0
for package in "${packages[@]}"; do
	if [[ ! -e $(baseline "$package") ]]; then
		echo "$package is new" >&2
		differs=1
		continue
	fi
	changes=$("$tool" "$(baseline "$package")" "$package")
	[[ -z $changes ]] && continue
	printf '%s\n%s\n' "$package" "$changes" >&2
	differs=1
done
for file in hack/api/*.export; do
	for package in "${packages[@]}"; do
		[[ $(baseline "$package") == "$file" ]] && continue 2
	done
	echo "the package of $file is gone" >&2
	differs=1
done
if [[ $differs -ne 0 ]]; then
	echo "what others import has changed: if it is meant, make api writes it down" >&2
	exit 1
fi
