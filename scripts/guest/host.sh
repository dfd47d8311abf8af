# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# What the scripts that make and boot guests share, beyond scripts/lib.sh. Source it after that.

# Sets the array `tool` to the command that runs a program of the build root straight on this
# machine, by its own dynamic linker and with its own libraries: no namespace, no root, and a signal or an
# exit status goes straight through. For programs that need nothing else of the build root.
find_tool() {
	local program
	for program in "$BUILDROOT"/usr/{bin,sbin,libexec}/"$1"; do
		[ ! -x "$program" ] || break
	done
	[ -x "$program" ] || die "the build root has no $1: remove $(readlink -f "$BUILDROOT"), it will be made again"
	tool=("$BUILDROOT"/lib64/ld-linux-*.so.2 --argv0 "$1"
		--library-path "$BUILDROOT/usr/lib/$(uname -m)-linux-gnu" "$program")
}

# Runs one so.
buildroot_tool() {
	local tool
	find_tool "$1"
	shift
	"${tool[@]}" "$@"
}

# A /dev/kvm without the flags can be there and hang every guest.
can_kvm() { grep -qwE 'vmx|svm' /proc/cpuinfo && (: <>/dev/kvm) 2>/dev/null; }

# Sets the array `outside` to the command that runs another one in a network namespace with taps.
in_taps() {
	outside=(unshare --net)
	[ "$(id -u)" -eq 0 ] || outside+=(--user --map-root-user)
	outside+=(-- bash "$TOP/scripts/guest/taps")
}

# Whether this machine can have taps: they take a kernel with tun and bridge.
can_tap() {
	local outside
	in_taps
	"${outside[@]}" true 2>/dev/null
}
