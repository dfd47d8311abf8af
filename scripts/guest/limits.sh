# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# How long a test file may take. Sourced by tests/run on the host and by run-tests in the guest.

# What a file's header asks for is what it takes on a quiet machine, and some. That a test is out of time is to say
# that it hangs, not that something else is running.
limit_of() {
	local limit
	limit=$(sed -nE 's/^# lab-timeout:[[:space:]]*([0-9]+).*/\1/p' "$1" | head -n 1)
	limit=${limit:-60}
	case ${LAB_KERNEL:-} in
	debug) echo $((limit * 10)) ;;
	*) echo $((limit * 5)) ;;
	esac
}
