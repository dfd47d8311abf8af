#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# lab-devices: edu2-intx+edu-msi
# lab-timeout: 240
#
# More softirqs than one exit from an interrupt may serve (2 ms, or ten rounds) go to ksoftirqd,
# which is a task: it uses CPU time, and others get theirs.

# shellcheck source=tests/lib/edu.sh
. "$(dirname "$0")/lib/edu.sh"
plan 7

load irq_mode=auto storm_limit=0
device=$edu2
irq=$(irq_of $device)
echo 0 >/proc/irq/"$irq"/smp_affinity_list 2>/dev/null || echo 1 >/proc/irq/"$irq"/smp_affinity
echo tasklet >"$(edu $device defer)"
echo 1 >"$(edu $device timing)"

ksoftirqd=$(pgrep -x ksoftirqd/0)
# In nanoseconds.
cpu_time() { cut -d ' ' -f 1 "/proc/$1/schedstat"; }
switches() { awk '/ctxt_switches/ { sum += $2 } END { print sum }' "/proc/$1/status"; }
woken() { [ "$(switches "$ksoftirqd")" -gt "$1" ]; }

before_time=$(cpu_time "$ksoftirqd")
before=$(switches "$ksoftirqd")
# Interrupts from CPU 1 hit CPU 0 while it works off the tasklets of the former ones.
(for _ in 1 2 3; do taskset -c 1 sh -c "echo '100000 burst' >$(edu $device trigger)" || exit; done) &
raiser=$!
check "ksoftirqd is woken, time and again" wait_for 60 woken $((before + 20))
# shellcheck disable=SC2016 # for the inner shell
check "somebody else still gets the CPU" timeout 60 taskset -c 0 sh -c 'i=0; while [ $i -lt 1000 ]; do i=$((i + 1)); done'
status=0
wait $raiser || status=$?
assert_eq "all interrupts were raised" 0 $status
settle $device
diag "ksoftirqd/0: $((($(cpu_time "$ksoftirqd") - before_time) / 1000)) us, $(($(switches "$ksoftirqd") - before)) switches;" \
	"tasklet: $(counter $device tasklet.runs) runs, $(counter $device tasklet.coalesced) coalesced"
assert_ge "it took CPU time, more than for being woken" $((before_time + 1000000)) "$(cpu_time "$ksoftirqd")"
assert_eq "every interrupt was worked off" "$(counter $device hardirq.items)" "$(counter $device tasklet.items)"
sound $device
