# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# Why modules may fail to build. Source scripts/lib.sh and versions before it.

# explain RELEASE: the last line of a failed build, if that kernel is another one than the suite is written for.
explain() {
	local version=${1%%[+-]*} pinned=${KERNEL_ABI%%+*}
	[ "$version" = "$pinned" ] ||
		say "If the errors are in calls of the kernel's Rust interfaces, which change: the suite is written for Linux $pinned, this is $1."
}
