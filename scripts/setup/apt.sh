# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# Debian packages for the lab: downloaded and verified by the build root's apt, with package lists
# of its own, and unpacked without being installed. Source scripts/lib.sh and versions before it,
# and hold the lock `apt` around what runs apt.

APT=$CACHE/apt
DL=$CACHE/dl

lab_apt() {
	local tool=$1
	shift
	buildroot_run "$tool" -q -o Dir::State::Lists="$APT/lists" -o Dir::Cache="$APT/cache" \
		-o Dir::Etc::SourceList="$APT/sources.list" -o Dir::Etc::SourceParts=/dev/null \
		-o APT::Sandbox::User=root -o Acquire::Languages=none -o Acquire::Retries=3 "$@"
}

# Fetches the package lists of the release and of the suite with the kernels.
apt_lists() {
	local mirror
	mkdir -p "$APT/lists/partial" "$APT/cache/archives/partial" "$DL"
	mirror=$(sed -nE "s,^deb (\[[^]]*\] )?([^ ]+) $SUITE .*,\2,p" "$BUILDROOT/etc/apt/sources.list" | sed 1q)
	[ -n "$mirror" ] || die "the build root's sources.list names no mirror: run make distclean and start again"
	mirror=${MIRROR:-$mirror}
	printf 'deb %s %s main\n' "$mirror" "$SUITE" "$mirror" "$KERNEL_SUITE" >"$APT/sources.list"
	lab_apt apt-get update --error-on=any
}

# apt_has PACKAGE VERSION: whether the archive has it.
apt_has() {
	lab_apt apt-cache madison "$1" 2>/dev/null | awk -F' *[|] *' -v v="$2" '$2 == v { found = 1 } END { exit !found }'
}

# apt_fetch VERSION PACKAGE...: downloads what is not there yet; the hashes are apt's business.
apt_fetch() {
	local version=$1 package want=()
	shift
	for package in "$@"; do
		[ -e "$(deb "$package" "$version")" ] || want+=("$package=$version")
	done
	[ ${#want[@]} -gt 0 ] || return 0
	# Only what is complete and verified is ever moved to where deb() looks: not what another fetch, which was
	# interrupted, left in the directory.
	remove_tree "$CACHE/tmp/dl"
	mkdir -p "$CACHE/tmp/dl"
	(
		cd "$CACHE/tmp/dl" || exit
		lab_apt apt-get download "${want[@]}"
	)
	for package in "${want[@]%%=*}"; do
		mv "$CACHE/tmp/dl/${package}_${version//:/%3a}"_*.deb "$DL/"
	done
}

# deb PACKAGE VERSION: the file that a package is kept in.
deb() {
	local file
	for file in "$DL/${1}_${2//:/%3a}"_*.deb; do
		echo "$file"
	done
}

# here VERSION PACKAGE...: whether all of them have been downloaded.
here() {
	local version=$1 package
	shift
	for package in "$@"; do
		[ -e "$(deb "$package" "$version")" ] || return
	done
}

# source_dir VERSION: where the kernel's source of that version is unpacked.
source_dir() { echo "$CACHE/source/$(tr -c '[:alnum:].\n' - <<<"$1")"; }

# source_here VERSION PACKAGE: whether it is, or need only be.
source_here() { [ -e "$(source_dir "$1")/Kbuild" ] || here "$1" "$2"; }

unpack() {
	local dir=$1 file
	shift
	for file in "$@"; do
		buildroot_run dpkg-deb -x "$file" "$dir"
	done
}
