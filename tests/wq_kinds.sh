#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# lab-long: what each flag of a queue does
# lab-timeout: 240
#
# The flags of a workqueue by effects that can be seen from outside of the driver. mem_reclaim has a
# file of its own, wq_rescue.sh, and freezable another, wq_freeze.sh.

# shellcheck source=tests/lib/wq.sh
. "$(dirname "$0")/lib/wq.sh"
plan 33

load_timer
echo 1 >"$(wq $timer timing)"
tracefs=/sys/kernel/tracing
[ -e $tracefs/events ] || mount -t tracefs tracefs $tracefs
parameters=/sys/module/workqueue/parameters

# Sets `comm`, `nice` and `cpus` to those of the worker that runs an item of a queue: catch_worker QUEUE
# [NAME VALUE]... The item sleeps, and longer each time that it was over before all was looked at.
catch_worker() {
	local queue=$1 worker length caught=
	for length in 500000 2000000 10000000 40000000; do
		set_up "$queue" sleep_us $length "${@:2}"
		begin_burst 1
		until worker=$(worker_of "rwq0_$queue") || burst_over; do sleep 0.02; done
		if [ -n "$worker" ]; then
			comm=$(cat "/proc/$worker/comm")
			nice=$(ps -o ni= -p "$worker" | tr -d ' ')
			cpus=$(awk '$1 == "Cpus_allowed_list:" { print $2 }' "/proc/$worker/status")
			if [ "$(worker_of "rwq0_$queue")" = "$worker" ] && ! burst_over; then caught=1; fi
		fi
		echo sync >"$(wq $timer cancel)"
		[ -z "$caught" ] || return 0
	done
	bail "no worker runs an item of $queue long enough to be seen"
}

# Concurrency management: an item that sleeps lets the next one start, though they are bound to one
# CPU; an item that computes does not.
set_up percpu cpu 0 sleep_us 1000000
burst 8
assert_eq "percpu: items that sleep run beside each other" 8 "$(of_burst peak)"
assert_eq "percpu: by a worker each" 8 "$(of_burst workers)"
assert_eq "percpu: on their CPU" 0 "$(of_burst cpus)"
assert_le "percpu: so the last starts before the first has slept" 1000000000 "$(of_burst wait_max_ns)"

# max_active: 2 at a time, however many there are.
set_up max_active cpu 0 sleep_us 50000
burst 10
assert_eq "max_active: 2 at a time" 2 "$(of_burst peak)"
assert_ge "max_active: so the last waits for four pairs" 200000000 "$(of_burst wait_max_ns)"

# ordered: one at a time, in order. unbound, for comparison, is not.
set_up ordered sleep_us 2000
burst 50
assert_eq "ordered: one at a time" 1 "$(of_burst peak)"
assert_eq "ordered: in the order of queueing" 0 "$(of_burst inversions)"
set_up unbound sleep_us 20000
burst 50
assert_ge "unbound: several at a time" 2 "$(of_burst peak)"

# highpri: the worker's nice.
catch_worker highpri cpu 0
assert_eq "highpri: the worker's nice" -20 "$nice"
assert_match "highpri: the worker's name" '^kworker/0:[0-9]+H[+]' "$comm"
catch_worker percpu cpu 0
assert_eq "percpu: the worker's nice" 0 "$nice"
assert_eq "percpu: the worker is bound to the CPU" 0 "$cpus"

# unbound: the worker is not bound to the CPU that the item was queued on.
catch_worker unbound cpu 0
assert_match "unbound: the worker's name" '^kworker/u' "$comm"
assert_eq "unbound: the worker may run on every CPU" "$(cat /sys/devices/system/cpu/online)" "$cpus"
# With the CPU that it was queued on busy, it runs on another.
taskset -c 1 sh -c 'while :; do :; done' &
load=$!
set_up unbound cpu 1 cost_us 3000
# The other may be busy as well for as long as one burst takes: it is somebody else's, on a machine that is shared.
for _ in 1 2 3 4 5; do
	burst 20
	elsewhere=$(of_burst cpus)
	[[ $elsewhere != *0* ]] || break
done
kill $load
wait $load 2>/dev/null
assert_match "unbound: items are run by an idle CPU" 0 "$elsewhere"

# cpu_intensive: a second item does not wait for the first. The kernel takes any item for that after
# a while, which would blur the difference.
threshold=$(cat $parameters/cpu_intensive_thresh_us)
echo 1000000 >$parameters/cpu_intensive_thresh_us
set_up percpu cpu 0 cost_us 300000
burst 2
assert_ge "percpu: an item that computes keeps the next waiting" 290000000 "$(of_burst wait_max_ns)"
assert_eq "percpu: it runs alone" 1 "$(of_burst peak)"
set_up cpu_intensive cpu 0 cost_us 1000000
burst 2
echo "$threshold" >$parameters/cpu_intensive_thresh_us
assert_le "cpu_intensive: the next starts meanwhile" 950000000 "$(of_burst wait_max_ns)"
assert_eq "cpu_intensive: they run beside each other" 2 "$(of_burst peak)"

# sysfs: its directory, whose files have an effect.
dir=/sys/devices/virtual/workqueue/rwq0_sysfs
check "sysfs: its directory" test -d $dir
check "sysfs: the others have none" test ! -e /sys/devices/virtual/workqueue/rwq0_unbound
for cpu in 0 1; do
	printf '%x\n' $((1 << cpu)) >$dir/cpumask
	set_up sysfs cost_us 500
	burst 20
	assert_eq "sysfs: cpumask, to CPU $cpu" $cpu "$(of_burst cpus)"
done
printf '%x\n' 3 >$dir/cpumask
echo 5 >$dir/nice
catch_worker sysfs
assert_eq "sysfs: nice" 5 "$nice"
echo 0 >$dir/nice
echo 1 >$dir/max_active
set_up sysfs sleep_us 20000
burst 6
assert_eq "sysfs: max_active" 1 "$(of_burst peak)"

# power_efficient: what it means is up to a parameter of the kernel.
catch_worker power_efficient cpu 0
case $(cat $parameters/power_efficient) in
N) assert_match "power_efficient: bound to its CPU while power does not matter" '^kworker/0:' "$comm" ;;
Y) assert_match "power_efficient: unbound where power matters" '^kworker/u' "$comm" ;;
esac

# BH: in softirq context, as the tracer sees it, and by the softirqs' own count.
for kind in bh:TASKLET bh_highpri:HI; do
	queue=${kind%:*} row=${kind#*:}
	set_up "$queue" cost_us 100
	count=$(softirq "$row")
	echo >$tracefs/trace
	echo 1 >$tracefs/events/workqueue/workqueue_execute_start/enable
	burst 50
	echo 0 >$tracefs/events/workqueue/workqueue_execute_start/enable
	assert_ge "$queue: the row $row of /proc/softirqs" $((count + 1)) "$(softirq "$row")"
	# The third of the flags before the time: `s` is in a softirq, `.` in a task.
	assert_eq "$queue: every item in a softirq" 50 \
		"$(grep irqkit $tracefs/trace | grep -cE '\[[0-9]+\] [^ ][^ ][sHh]')"
done

sound $timer
