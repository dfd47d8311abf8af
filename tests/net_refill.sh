#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# lab-devices: net-tap
# lab-kernels: debug
#
# Buffers when there is no memory: each allocation of the page pools is made to fail, until the device has no buffers left.
# The queue is filled by a work item as soon as there is memory again, whether a frame comes or not.

# shellcheck source=tests/lib/net.sh
. "$(dirname "$0")/lib/net.sh"
plan 10

fault=/sys/kernel/debug/fail_function
[ -d $fault ] || bail "this kernel can't inject faults into functions"
short() {
	echo page_pool_alloc_netmems >$fault/inject
	echo 0 >$fault/page_pool_alloc_netmems/retval
	echo -1 >$fault/times
	echo 0 >$fault/verbose
	# The peer has page pools, too.
	echo "$irqkit" >$fault/require-start
	printf '%#x\n' $((irqkit + size)) >$fault/require-end
	echo 100 >$fault/probability
}
plenty() {
	echo 0 >$fault/probability
	echo 0 >$fault/require-start
	echo 0xffffffffffffffff >$fault/require-end
	[ ! -d $fault/page_pool_alloc_netmems ] || echo '!page_pool_alloc_netmems' >$fault/inject
}
on_exit give "$net0"
on_exit plenty

set_up ring_size=64
read -r irqkit size < <(awk '$1 == "irqkit" { print $6, $2 }' /proc/modules)
check "the peer answers" reachable
runs() { counter $net0 work/refill.runs; }
tries() { [ "$(runs)" -ge $((before + $1)) ]; }
silent() { ! in_peer ping -q -c 1 -W 2 $our_ip4 >/dev/null; }

before=$(runs)
check "no memory for buffers" short
# What comes uses up those that there are: frames that are long enough for the stack to keep.
in_peer ping -q -f -s 1400 -c 400 -W 1 $our_ip4 >/dev/null 2>&1
check "the device has none left" wait_for 20 silent
check "a work item tries, and tries again" wait_for 20 tries 3
assert_eq "nothing is said of it" "" "$(dmesg | grep -iE "$driver.*(poison|broken|reset)")"
check "memory again" plenty
check "the card works again, by itself" wait_for 60 reachable
before=$(runs)
sleep 1
assert_le "and the work item is at rest" $((before + 1)) "$(runs)"
sound $net0
