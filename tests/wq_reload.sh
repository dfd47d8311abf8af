#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# lab-timeout: 300
# lab-kmemleak: what is left of a device or a module that went
#
# Loading and unloading, 200 times in a long run, with work of every kind under way; and with files open.

# shellcheck source=tests/lib/wq.sh
. "$(dirname "$0")/lib/wq.sh"
plan 8

rounds=$(fewer 200 3)
expedite
queues=(percpu unbound freezable mem_reclaim highpri cpu_intensive power_efficient sysfs max_active ordered
	bh bh_highpri system_percpu system_highpri system_long system_dfl system_dfl_long system_freezable
	system_power_efficient system_freezable_pwr_efficient system_bh system_bh_highpri)

failed=0
modprobe irqkit
on_exit modprobe -r irqkit
for ((i = 0; i < rounds; i++)); do
	at "round $((i + 1)) of $rounds"
	insmod /lib/modules/"$(uname -r)"/updates/rust_workqueue.ko source=timer rate_hz=1000 || failed=$((failed + 1))
	dir=$debugfs/timer0
	echo "${queues[i % ${#queues[@]}]}" >$dir/queue || failed=$((failed + 1))
	# Some that are queued, some that run and some that are delayed.
	case $((i % 3)) in
	0) echo 200 >$dir/cost_us ;;
	1) echo 3000 >$dir/sleep_us ;;
	2) echo 20 >$dir/delay_ms ;;
	esac
	echo 100 >$dir/burst || failed=$((failed + 1))
	rmmod rust_workqueue || failed=$((failed + 1))
done
assert_eq "$rounds times loaded and unloaded with work under way" 0 $failed
assert_eq "no rescuer is left" "" "$(grep -lE '^kworker/R-rwq' /proc/[0-9]*/comm)"
check "no directory is left" test ! -e $debugfs

# Unloading does not wait for what is delayed, and waits for what runs.
load_timer
set_up percpu delay_ms 60000
begin_burst 50
start=$EPOCHREALTIME
check "unload with delayed items" unload
assert_le "it did not wait for them" 10 $((${EPOCHREALTIME%.*} - ${start%.*}))
load_timer
set_up percpu sleep_us 1000000
begin_burst 3
wait_for 5 grep -qx 'running 3' "$(wq $timer burst)"
check "unload with running items" unload

# A file that is open keeps nobody.
load_timer
exec 8<"$(wq $timer burst)"
check "unload with a file open" unload
check_fails "reading it fails" cat <&8
exec 8<&-
