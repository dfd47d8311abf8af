#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# lab-devices: edu2-intx+edu-msi
# lab-timeout: 240
#
# The files of the paths: their format, timing on and off, reads and resets while interrupts arrive
# as fast as they can, files that stay open.

# shellcheck source=tests/lib/edu.sh
. "$(dirname "$0")/lib/edu.sh"
plan 28

load irq_mode=auto
device=$edu2
files=$debugfs/$device

assert_eq "version" 1 "$(cat "$files/version")"
assert_eq "every line of stats is a path, a counter and a value" 0 \
	"$(grep -cvE '^(hardirq|thread|tasklet|tasklet_hi)\.[a-z_]+ [0-9]+$' "$files/stats" || :)"
assert_eq "the paths are there in order" "hardirq thread tasklet tasklet_hi" \
	"$(cut -d. -f1 "$files/stats" | uniq | tr '\n' ' ' | sed 's/ $//')"
assert_eq "an empty histogram" "count 0 sum 0 min 0 max 0" "$(tr '\n' ' ' <"$files/hardirq/wait_ns" | sed 's/ $//')"

# Timing.
assert_eq "timing is off at first" 0 "$(cat "$files/timing")"
echo all >"$files/defer"
echo "50 paced" >"$files/trigger"
settle $device
assert_eq "counters count without it" "50 50 50 50" \
	"$(for p in hardirq thread tasklet tasklet_hi; do counter $device $p.runs; done | tr '\n' ' ' | sed 's/ $//')"
assert_eq "histograms don't" 0 "$(hist_count $device hardirq wait_ns)"
echo 1 >"$files/timing"
assert_eq "timing is on" 1 "$(cat "$files/timing")"
echo "50 paced" >"$files/trigger"
settle $device
assert_eq "histograms count with it" "50 50" "$(hist_count $device hardirq wait_ns) $(hist_count $device thread run_ns)"
assert_eq "timing is each device's own" 0 "$(cat "$debugfs/$edu0/timing")"
# shellcheck disable=SC2016 # for awk
check "hardirq waited, and for less than a second" \
	awk '$1 == "max" { exit !($2 > 0 && $2 < 1000000000) }' "$files/hardirq/wait_ns"

# Reset.
echo 1 >"$files/reset"
assert_eq "reset zeroes all counters" 0 "$(awk '$2 != 0' "$files/stats" | wc -l)"
assert_eq "and histograms" 0 "$(cat "$files"/*/wait_ns "$files"/*/run_ns | awk '$1 == "count" { sum += $2 } END { print sum }')"
assert_eq "percpu is empty then" "" "$(cat "$files/percpu")"
echo "30 paced" >"$files/trigger"
settle $device
check "the histograms agree after it" wait_for 10 histograms_agree $device

# Reads during load. Never may more be done than was asked for.
reads_are_sane() {
	local i
	for ((i = 0; i < 40; i++)); do
		awk '{ split($1, part, "."); count[part[1], part[2]] = $2; paths[part[1]] }
			END { for (p in paths) if (count[p, "scheduled"] < count[p, "runs"] + count[p, "coalesced"] + count[p, "cancelled"]) { print p; exit 1 } }' \
			"$files/stats" || return 1
	done
}
grows() {
	# Counters never fall between two reads.
	local i
	cat "$files/stats" >/run/stats.0
	for ((i = 0; i < 20; i++)); do
		cat "$files/stats" >/run/stats.1
		join /run/stats.0 /run/stats.1 2>/dev/null | awk '$3 < $2 { print; exit 1 }' || return 1
		mv /run/stats.1 /run/stats.0
	done
}
load_on() {
	(while :; do echo "100000 burst" >"$files/trigger" || exit; done) 2>/dev/null &
	loader=$!
}
load_off() {
	kill "$loader" && wait "$loader" 2>/dev/null
	# The write in flight was the shell's own, and ended by the signal.
	wait_for 20 balanced $device || bail "work is still in flight after 20 s"
}
load_on
check "stats read during load never claim more than was asked for" reads_are_sane
check "counters only grow" grows
coalesces() { [ "$(counter $device thread.coalesced)" -ge 1 ]; }
check "bursts coalesce" wait_for 30 coalesces
load_off
check "the histograms agree after load" wait_for 10 histograms_agree $device

# Resets race with runs. (Timing is not switched here: it patches the kernel's code, and QEMU without
# hardware virtualization does not always see that in time on another CPU.)
load_on
races() {
	local i
	for ((i = 0; i < 40; i++)); do
		echo 1 >"$files/reset" && cat "$files/stats" >/dev/null || return 1
	done
}
check "40 resets during load" races
load_off
check "the books balance after them" wait_for 10 balanced $device
echo 1 >"$files/reset"
echo "40 paced" >"$files/trigger"
settle $device
check "and the histograms agree" wait_for 10 histograms_agree $device
assert_eq "with all 40" 40 "$(hist_count $device tasklet_hi wait_ns)"

sound $device

# Open files don't keep the driver.
exec 3<"$files/stats"
check "the driver goes with a file open" modprobe -r $driver
check_fails "which can't be read any more" sh -c "cat <&3"
exec 3<&-
check "and comes back" modprobe $driver
