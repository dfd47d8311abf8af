#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# lab-long: the machine tries to sleep
# lab-devices: net-tap
# lab-timeout: 120
# lab-expect-dmesg: 0000:00:1e.0: PM: failed to suspend: error -95
# lab-kmemleak: what is left of frames that were on their way
#
# rust_napi_net on its way to sleep and back: the machine does not get there, see wq_freeze.sh, but the card is
# taken down and brought up, at rest, under load, and while it is down.

# shellcheck source=tests/lib/net.sh
. "$(dirname "$0")/lib/net.sh"
plan 16

on_exit give "$net0"
set_up
reachable || bail "the peer does not answer"
mark_log

stops() { python3 /lab/scripts/guest/bin/net-queues qstats "$nic" | awk '$1 == "tx" && $3 == "stop" { n += $4 } END { print n + 0 }'; }
stopped=$(stops)
sums=$(wrong_sums) || bail "it is not known how many checksums are wrong"
sleep_on() { echo freeze 2>/dev/null >/sys/power/state || :; }
for round in 1 2; do
	sleep_on
	check "at rest, $round: it answers" reachable
done

assert_ge "its queues were stopped for that" 2 $(($(stops) - stopped))
serve || bail "no iperf3"
on_exit unserve
for way in "" -R --bidir; do
	# shellcheck disable=SC2086 # an option, or none
	stream -t 6 -P 4 $small_blocks $way >/run/rate 2>&1 &
	load_pid=$!
	sleep 1
	sleep_on
	sleep_on
	status=0
	wait $load_pid || status=$?
	assert_eq "under load $way: the streams go on" "0" "$status"
	diag "$(cat /run/rate)"
	check "under load $way: it answers" reachable
done
check "no checksum was wrong, at either end" no_wrong_sums "$sums"

ip link set "$nic" down
sleep_on
link $net0 || bail "no link"
check "while it was down: it answers" reachable
sleep_on
traffic "TCP out" -t 1
traffic "TCP in" -t 1 -R
assert_eq "the driver has nothing to say of it" "" "$(driver_log | grep -v "enabling device")"
sound $net0
