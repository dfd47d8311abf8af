# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# What the tracing scripts share: an instance of the tracer of their own, so that they are in nobody's
# way.

tracefs=/sys/kernel/tracing

fail() {
	printf '%s: %s\n' "${0##*/}" "$1" >&2
	exit "${2:-1}"
}

# An instance with the events given, recording as soon as it returns; `trace` is its file. It goes when
# the script ends.
start_tracing() {
	[ "$(id -u)" -eq 0 ] || fail "only root may trace"
	[ -e $tracefs/events ] || mount -t tracefs tracefs $tracefs 2>/dev/null || fail "this kernel has no tracefs"
	instance=$tracefs/instances/${0##*/}-$$
	mkdir "$instance" || fail "the tracer has no room for another instance"
	trap 'rmdir "$instance"' EXIT
	# shellcheck disable=SC2034 # for the scripts
	trace=$instance/trace
	echo mono >"$instance/trace_clock"
	echo 16384 >"$instance/buffer_size_kb"
	local event
	for event in "$@"; do
		echo 1 >"$instance/events/$event/enable" || fail "this kernel has no event $event"
	done
}

# Runs the command, or waits for so many seconds if there is none; then nothing is recorded any more.
record() {
	local seconds=$1 status=0
	shift
	if [ $# -gt 0 ]; then "$@" || status=$?; else sleep "$seconds"; fi
	echo 0 >"$instance/tracing_on"
	[ $status -eq 0 ] || fail "the command failed: $*" $status
	local lost
	lost=$(awk '/^overrun:/ { n += $2 } END { print n + 0 }' "$instance"/per_cpu/cpu*/stats)
	[ "$lost" -eq 0 ] || printf '%s: %d events were lost, more than the buffer holds\n' "${0##*/}" "$lost" >&2
}
