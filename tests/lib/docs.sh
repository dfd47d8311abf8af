# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# Runs the commands of documents as they are written there. Source it after a file that has `load`.
#
#   run_pages FILE...  each block marked as one for the lab, in a shell of its own, page by page; calls
#                      `new_page` before each page

# A block that stops at its first failing command, as a reader would.
run_block() { timeout 150 bash -e -o pipefail "$1" >"$blocks/out" 2>&1 || (echo "status $?" && cat "$blocks/out" && false); }

run_pages() {
	local files file name page=
	cd /lab || bail "there is no /lab"
	blocks=$(mktemp -d)
	on_exit rm -rf "$blocks"
	scripts/doc-commands "$blocks" "$@" || bail "the documents cannot be read"

	files=("$blocks"/*.sh)
	[ -e "${files[0]}" ] || bail "no document has a block of commands for the lab"
	plan $((2 * ${#files[@]}))
	for file in "${files[@]}"; do
		name=${file##*/}
		name=${name%.sh}
		name=${name//_//}
		if [ "$page" != "${name%:*}" ]; then
			page=${name%:*}
			new_page
		fi
		check "$name runs" run_block "$file"
		check "$name shows something" test -s "$blocks/out"
	done
}
