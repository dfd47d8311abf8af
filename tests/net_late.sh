#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# lab-long: it waits for a timeout
# lab-devices: net
# lab-timeout: 120
# lab-expect-dmesg: NETDEV WATCHDOG|transmit queue .* timed out|Fair server disabled
#
# A transmit queue that the watchdog finds stopped for too long, though the device has done its part: who takes back
# what was sent got no CPU for as long. Nothing is reset for that, and no frame is lost.

# shellcheck source=tests/lib/net.sh
. "$(dirname "$0")/lib/net.sh"
plan 8

on_exit give "$net0"

# With none that run by themselves, and those on a CPU that somebody has for himself.
starve() {
	local thread mask server=/sys/kernel/debug/sched/fair_server/cpu1/runtime usual
	echo 1 >"/sys/class/net/$nic/threaded" || return
	for thread in $(pgrep "^napi/$nic-"); do taskset -pc 1 "$thread" >/dev/null || return; done
	# What else there is to do is done elsewhere.
	mask=/sys/devices/virtual/workqueue/cpumask
	on_exit sh -c "echo $(cat $mask) >$mask"
	echo 1 >$mask || return
	usual=$(cat $server) || return
	on_exit sh -c "echo $usual >$server"
	echo 0 >$server || return
	timeout 20 taskset -c 1 chrt -f 50 sh -c 'while :; do :; done' &
	hog=$!
	on_exit sh -c "kill $hog 2>/dev/null || :"
}
barked() { [ "$(cat "/sys/class/net/$nic/queues/tx-0/tx_timeout")" -gt 0 ]; }
decided() { driver_log | grep -q "tx0: "; }

taskset -pc 0 $$ >/dev/null
set_up queue_pairs=1
check "the peer answers" reachable
mark_log
starve || bail "polling can't be kept from running"
ping -q -i 0.002 -c 100000 -W 1 -b 10.7.0.255 >/dev/null 2>&1 &
flood=$!
check "the watchdog finds the queue stopped" wait_for 60 barked
check "somebody looks after it" wait_for 20 decided
kill $flood "$hog" 2>/dev/null
wait $flood "$hog" 2>/dev/null
assert_eq "nothing is reset" "" "$(driver_log | grep -vE "WATCHDOG|tx0: it came back late: not reset")"
assert_eq "nothing is lost" 0 "$(packets tx_dropped)"
check "it works" reachable
sound $net0
