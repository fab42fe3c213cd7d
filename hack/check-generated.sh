#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Rebuilds everything that `make generate` makes and fails, naming the files, if a
# committed one was not what its source gives. The new ones stay in the checkout.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."

sums() {
	find . -path ./.cache -prune -o -type f \( -name '*.o' -o -name '*_gen.go' -o -path './docs/man/*' -o -path './docs/cli/*' \) -exec sha256sum {} + |
		sort -k 2
}

before=$(sums)
make --no-print-directory generate
if ! diff <(echo "$before") <(sums); then
	echo "these files were not what their sources give: commit what 'make generate' made" >&2
	exit 1
fi
