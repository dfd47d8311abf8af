#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# lab-long: two pairs of queues on four CPUs
# lab-devices: net-tap
# lab-cpus: 4
# lab-timeout: 120
#
# Each of two pairs of queues has two of four CPUs, and its interrupts are on the first of them. When that goes they
# move to the other one, and not just anywhere; when it comes back, so do they.

# shellcheck source=tests/lib/net.sh
. "$(dirname "$0")/lib/net.sh"
plan 9

on_exit give "$net0"
cpus=/sys/devices/system/cpu
on_exit sh -c "for cpu in $cpus/cpu[1-9]*/online; do echo 1 >\$cpu; done"

irq_named() { awk -v name="virtio-$net0-$1" '$NF == name { sub(":", "", $1); print $1 }' /proc/interrupts; }
affinity() { cat "/proc/irq/$(irq_named "$1")/smp_affinity_list"; }
# shellcheck disable=SC2317 # by wait_for
placed() { [ "$(affinity rx0) $(affinity tx0) $(affinity rx1) $(affinity tx1)" = "$1 $1 $2 $2" ]; }
placed_or_say() { wait_for 10 placed "$1" "$2" || ! diag "rx0 $(affinity rx0), tx0 $(affinity tx0), rx1 $(affinity rx1), tx1 $(affinity tx1)"; }

set_up queue_pairs=2
check "the pairs are on CPUs 0 and 1" placed_or_say 0 1
echo 0 >$cpus/cpu1/online
check "CPU 1 goes: its pair is on CPU 3" placed_or_say 0 3
check "the peer answers" reachable
echo 0 >$cpus/cpu3/online
check "with none of its own left the peer still answers" reachable
echo 1 >$cpus/cpu3/online
check "CPU 3 comes back: its pair is there" placed_or_say 0 3
echo 1 >$cpus/cpu1/online
check "CPU 1 comes back: all is as it was" placed_or_say 0 1
check "the peer answers" reachable
sound $net0
