#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# lab-devices: edu2-intx+edu-msi+rng
# lab-timeout: 300
#
# Every command of the documents that is marked as one for the lab, as it is written there: each
# block in a shell of its own, page by page, with the driver loaded as the pages say.

# shellcheck source=tests/lib/edu.sh
. "$(dirname "$0")/lib/edu.sh"

cd /lab || bail "there is no /lab"
blocks=$(mktemp -d)
on_exit rm -rf "$blocks"
scripts/doc-commands "$blocks" README.md docs/*.md || bail "the documents cannot be read"

files=("$blocks"/*.sh)
[ -e "${files[0]}" ] || bail "no document has a block of commands for the lab"
plan $((2 * ${#files[@]}))

# A block that stops at its first failing command, as a reader would.
run_block() { timeout 150 bash -e -o pipefail "$1" >"$blocks/out" 2>&1 || (echo "status $?" && cat "$blocks/out" && false); }

page=
for file in "${files[@]}"; do
	name=${file##*/}
	name=${name%.sh}
	name=${name//_//}
	if [ "$page" != "${name%:*}" ]; then
		page=${name%:*}
		load irq_mode=auto
	fi
	check "$name runs" run_block "$file"
	check "$name shows something" test -s "$blocks/out"
done
