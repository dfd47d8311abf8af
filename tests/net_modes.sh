#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# lab-devices: net-tap
# lab-timeout: 600
#
# rust_napi_net in its modes: completion by a tasklet, vectors by each policy, threaded NAPI and busy
# polling; its queues on their CPUs, also after one was away.

# shellcheck source=tests/lib/net.sh
. "$(dirname "$0")/lib/net.sh"
plan 48

on_exit give "$net0"
on_exit sh -c 'echo 1 >/sys/devices/system/cpu/cpu1/online'
BLOB_MIB=8
blob
serve_anew() {
	unserve
	serve
}
traffic() {
	check "$1: the peer answers" reachable
	check "$1: out" checksum out
	check "$1: in" checksum in
}

set_up tx_completion=tasklet
traffic "completion by a tasklet"
assert_ge "it has run" 1 "$(counter $net0 tasklet/tx0.items)"
check_fails "there is no NAPI for that" counter $net0 napi/tx0.runs
sound $net0

for policy in per_queue per_pair shared intx; do
	load vectors=$policy
	link $net0 || bail "no link"
	assert_eq "vectors are as asked for" $policy "$(field $net0 nic vectors)"
	traffic "vectors=$policy"
	sound $net0
done

load
link $net0 || bail "no link"
echo 1 >"/sys/class/net/$nic/threaded" || bail "no threaded NAPI"
traffic "threaded NAPI"
check "there are its tasks" pgrep "^napi/$nic"
echo 0 >"/sys/class/net/$nic/threaded"
echo 50 >/proc/sys/net/core/busy_read
echo 50 >/proc/sys/net/core/busy_poll
traffic "busy polling"
echo 0 >/proc/sys/net/core/busy_read
echo 0 >/proc/sys/net/core/busy_poll

# Pairs of queues, each with its CPU.
assert_eq "a pair for each CPU" 2 "$(field $net0 nic pairs)"
irq_named() { awk -v name="virtio-$net0-$1" '$NF == name { sub(":", "", $1); print $1 }' /proc/interrupts; }
on_cpus() { cat "/proc/irq/$(irq_named "$1")/smp_affinity_list"; }
spread() { [ "$(on_cpus rx0) $(on_cpus rx1) $(on_cpus tx1)" = "0 1 1" ]; }
check "their interrupts are on different ones" spread
assert_eq "and XPS is to match" "1 2" "$(tail -c 2 "/sys/class/net/$nic/queues/tx-0/xps_cpus" | tr -d '\n') $(tail -c 2 "/sys/class/net/$nic/queues/tx-1/xps_cpus" | tr -d '\n')"
echo 0 >/sys/devices/system/cpu/cpu1/online
check "it works while a CPU is away" reachable
echo 1 >/sys/devices/system/cpu/cpu1/online
check "when it is back, they are as they were" wait_for 10 spread
traffic "after that"
sound $net0
