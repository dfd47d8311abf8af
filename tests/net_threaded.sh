#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# lab-long: threads come and go while memory is short
# lab-devices: net-tap
# lab-append: swiotlb=1024,1,force
# lab-expect-dmesg: swiotlb buffer is full
# lab-timeout: 120
# lab-kmemleak: what is left of threads that went
#
# Threaded NAPI is switched on and off, all the time, while a work item looks for memory ten times a second, with
# polling off as long as it does. The core waits for instances to be idle, with a lock held without which none is
# enabled again: neither may wait for the other for ever. Memory is short as in net_refill.

# shellcheck source=tests/lib/net.sh
. "$(dirname "$0")/lib/net.sh"
# shellcheck source=tests/lib/starve.sh
. "$(dirname "$0")/lib/starve.sh"
plan 8

on_exit give "$net0"

starving_card
check "the peer answers" reachable

keep
check "the device has no buffer left" wait_for 60 silent

# Each writes what it has done, so that one that hangs in the kernel, which nothing kills, is seen.
threaded=/sys/class/net/$nic/threaded
toggle() {
	local i
	for ((i = 1; i <= rounds; i++)); do
		echo 1 >"$threaded" && echo 0 >"$threaded" || return
		echo $i >"/run/toggled.$1"
	done
}
rounds=$(fewer 1000 100)
toggled() { [ "$(cat /run/toggled.1 /run/toggled.2 | xargs)" = "$rounds $rounds" ]; }
echo 0 | tee /run/toggled.1 >/run/toggled.2
before=$(refills)
toggle 1 &
toggle 2 &
if ! wait_for 120 toggled; then
	not_ok "threads come and go, $rounds times by each of two" "done: $(cat /run/toggled.[12] | xargs)"
	# All that follows would hang as well, and whatever undoes it.
	exit 1
fi
ok "threads come and go, $rounds times by each of two"
wait %2 %3 2>/dev/null
assert_ge "while the work item tried" $((before + 3)) "$(refills)"
diag "$(($(refills) - before)) tries"
tries() { [ "$(refills)" -ge $((before + 3)) ]; }
before=$(refills)
check "it goes on trying" wait_for 20 tries
kill $keeper
check "with memory again it works again, by itself" wait_for 60 reachable
sound $net0
