# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# Checks the code blocks of documents. Source it after a file that has `load`.
#
#   run_pages FILE...  runs each block of commands for the lab in a shell of its own, as written, page by page; calls
#                      `new_page` before each page. Compares each quotation with the file that it is from

# A block that stops at its first failing command, as a reader would.
run_block() { timeout 150 bash -e -o pipefail "$1" >"$blocks/out" 2>&1 || (echo "status $?" && cat "$blocks/out" && false); }

# Whether a quotation stands in its file, line by line; all of it may be indented there.
quoted() {
	local file indent
	file=$(head -n 1 "$1")
	for indent in '' '    ' '        ' '            '; do
		[[ $'\n'$(<"$file")$'\n' != *$'\n'"$(sed "1d; s/^./$indent&/" "$1")"$'\n'* ]] || return 0
	done
	echo "$file has no such lines:"
	sed 1d "$1"
	return 1
}

run_pages() {
	local files quotes file name page=
	cd /lab || bail "there is no /lab"
	blocks=$(mktemp -d)
	on_exit rm -rf "$blocks"
	scripts/doc-commands "$blocks" "$@" || bail "the documents cannot be read"

	files=("$blocks"/*.sh)
	[ -e "${files[0]}" ] || bail "no document has a block of commands for the lab"
	mapfile -t quotes < <(find "$blocks" -name '*.quote' | sort)
	plan $((2 * ${#files[@]} + ${#quotes[@]}))
	for file in "${quotes[@]}"; do
		name=${file##*/}
		name=${name%.quote}
		check "${name//_//} is quoted as it is" quoted "$file"
	done
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
