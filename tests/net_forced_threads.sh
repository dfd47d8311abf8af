#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# lab-devices: net-tap
# lab-long: a boot of its own
# lab-append: threadirqs
# lab-timeout: 120
#
# Hard handlers that the kernel forces into threads, as it does on PREEMPT_RT: they schedule NAPI, or a tasklet, from
# there. Frames get through in both directions, and a link that goes and comes is seen.

# shellcheck source=tests/lib/net.sh
. "$(dirname "$0")/lib/net.sh"
plan 24

on_exit give "$net0"
on_exit sh -c "qmp set_link name=net0 up=true >/dev/null"
carrier() { [ "$(cat "/sys/class/net/$nic/carrier")" = "$1" ]; }

for completion in napi tasklet; do
	set_up tx_completion=$completion
	assert_ge "$completion: the hard handlers are threads" 4 "$(pgrep -c "^irq/[0-9]+-(s-)?virtio-0")"
	check "$completion: the peer answers" reachable
	serve || bail "no iperf3"
	traffic "$completion: a stream out" -t 2
	traffic "$completion: a stream in" -t 2 -R
	unserve
	assert_ge "$completion: they have scheduled who polls" 1 "$(counters $net0 hardirq/rx items)"
	settle $net0
	before=$(counter $net0 thread/config.runs)
	qmp set_link name=net0 up=false >/dev/null || bail "the device does not take the link down"
	check "$completion: the link goes" wait_for 10 carrier 0
	qmp set_link name=net0 up=true >/dev/null || bail "nor up"
	check "$completion: and comes" wait_for 10 carrier 1
	settle $net0
	assert_ge "$completion: its thread has seen to both" $((before + 2)) "$(counter $net0 thread/config.runs)"
	check "$completion: the peer answers" reachable
	sound $net0
	no_peer
done
assert_eq "no frame is lost on the way" "" "$(errors)"
assert_eq "nothing was reset" "" "$(driver_log | grep -iE 'reset|poison|out of use|refused')"
