#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# lab-long: no more threads
# lab-timeout: 120
# lab-expect-dmesg: workqueue: Failed to (create|allocate) a worker
#
# mem_reclaim: where no workers can be made, a thread that is there already comes to the rescue. A
# kernel that can inject faults refuses whatever the making of a worker allocates; on others there may
# be no more threads.

# shellcheck source=tests/lib/wq.sh
. "$(dirname "$0")/lib/wq.sh"
plan 7

failslab=/sys/kernel/debug/failslab
tracefs=/sys/kernel/tracing
[ -e $tracefs/events ] || mount -t tracefs tracefs $tracefs
started=$tracefs/events/workqueue/workqueue_execute_start/enable

# no_workers: none can be made from now on; workers: again. Neither forks: it may be what can't be done.
if [ -d $failslab ]; then
	diag "no workers: faults are injected where they are made"
	read -r start end < <(awk '$3 == "create_worker" { start = $1; next } start && $1 "" > start "" { print start, $1; exit }' /proc/kallsyms)
	[ -n "$end" ] || bail "this kernel has no create_worker()"
	echo "0x$start" >$failslab/require-start
	echo "0x$end" >$failslab/require-end
	echo N >$failslab/ignore-gfp-wait
	echo -1 >$failslab/times
	echo 0 >$failslab/verbose
	no_workers() { echo 100 >$failslab/probability; }
	workers() {
		echo 0 >$failslab/probability
		echo Y >$failslab/ignore-gfp-wait
		echo 0 >$failslab/require-start
		echo 0xffffffffffffffff >$failslab/require-end
	}
else
	diag "no workers: there may be no more threads"
	limit=$(cat /proc/sys/kernel/threads-max)
	no_workers() { echo 20 >/proc/sys/kernel/threads-max; }
	workers() { echo "$limit" >/proc/sys/kernel/threads-max; }
fi
on_exit workers
on_exit sh -c "echo 0 >$started"

load_timer
rescuer=$(grep -lx 'kworker/R-rwq0_mem_reclaim' /proc/[0-9]*/comm | sed -E 's,/proc/([0-9]+)/comm,\1,')
check "there is a rescuer" test -n "$rescuer"
assert_eq "percpu has none" "" "$(grep -lE '^kworker/R-rwq0_percpu' /proc/[0-9]*/comm)"
switches() { awk '$1 == "voluntary_ctxt_switches:" { print $2 }' "/proc/$rescuer/status"; }

# Waits until all items have run, or for a minute. Does not fork.
exec 9<> <(:)
burst_file=$(wq $timer burst)
all_done() {
	local end=$((SECONDS + 60)) name value
	while [ $SECONDS -lt $end ]; do
		while read -r name value; do
			[ "$name $value" != "done $items" ] || return 0
		done <"$burst_file"
		read -r -t 0.1 -u 9 _
	done
	return 1
}

# More than there are workers for: those that others have left behind stay for minutes.
idle=$(grep -lE '^kworker/0:[0-9]+([-+]|$)' /proc/[0-9]*/comm | wc -l)
items=$((idle + 10))
set_up mem_reclaim cpu 0 sleep_us 1000000
before=$(switches)
echo >$tracefs/trace
echo 1 >"$started"
no_workers
echo $items >"$burst_file"
all_done && came=all || came=some
workers
echo 0 >"$started"
rescued=$(grep -cE "kworker/R-rwq0_[^ ]*-$rescuer .*irqkit" $tracefs/trace)
diag "the rescuer ran $rescued of $items items, beside $idle workers"
assert_eq "all items run though no worker can be made" all "$came"
assert_ge "the rescuer runs some" 1 "$rescued"
assert_ge "and is seen to run" "$((before + 1))" "$(switches)"
exec 9>&-

sound $timer
