#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# lab-long: each kind of queue against the tracepoints of the kernel
# lab-timeout: 240
#
# The table of all kinds, and the counters against the kernel's own tracepoints: equal, not nearly.

# shellcheck source=tests/lib/wq.sh
. "$(dirname "$0")/lib/wq.sh"
plan 103

load_timer
queues=$(tr -d '[]' <"$(wq $timer queue)")
tracefs=/sys/kernel/tracing
[ -e $tracefs/events ] || mount -t tracefs tracefs $tracefs
on_exit sh -c "echo 0 >$tracefs/events/workqueue/enable"

set_up percpu cost_us 20
check "the table is made" sh -c "echo 100 >$(wq $timer matrix)"
table=$(grep -v '^#' "$(wq $timer matrix)")
assert_eq "it has a row for each kind" "$(tr ' ' '\n' <<<"$queues")" \
	"$(awk '{ print $1 }' <<<"$table")"
assert_eq "of all items" "22 100" "$(awk '$2 == 100 { n++ } END { print n, $2 }' <<<"$table")"
assert_eq "p50 <= p99 <= max, everywhere" "" "$(awk '!($3 <= $4 && $4 <= $5 && $6 <= $7)' <<<"$table")"
assert_eq "an item takes its cost" "" "$(awk '$6 < 20000' <<<"$table")"
assert_eq "ordered: one at a time" 1 "$(awk '$1 == "ordered" { print $8 }' <<<"$table")"
assert_le "max_active: no more than 2 on each CPU" 4 "$(awk '$1 == "max_active" { print $8 }' <<<"$table")"
diag "$(cat "$(wq $timer matrix)")"

check "a signal ends it" sh -c "echo 10000 >$(wq $timer sleep_us); timeout -s INT 1 sh -c 'echo 500 >$(wq $timer matrix)'; [ \$? -ne 0 ]"
echo 0 >"$(wq $timer sleep_us)"
assert_eq "the table stays" "$table" "$(grep -v '^#' "$(wq $timer matrix)")"
settle $timer

# The tracepoints show one function for all items of ours, and the queue by name.
ran_enough() { [ "$(counter $timer "work/$1.runs")" -ge 250 ]; }
for queue in $queues; do
	set_up "$queue"
	echo 1 >"$(wq $timer reset)"
	echo >$tracefs/trace
	echo 1 >$tracefs/events/workqueue/enable
	burst 200
	echo 500 >"$(wq $timer rate_hz)"
	check "$queue: both of a burst and of ticks" wait_for 60 ran_enough "$queue"
	echo 0 >"$(wq $timer rate_hz)"
	settle $timer
	echo 0 >$tracefs/events/workqueue/enable
	# The system's are called otherwise in there, and have other users.
	case $queue in system_*) name= ;; *) name="workqueue=rwq0_$queue " ;; esac
	queued=$(grep -c "workqueue_queue_work:.*irqkit.*$name" $tracefs/trace)
	started=$(grep workqueue_execute_start: $tracefs/trace | grep -c 'irqkit')
	assert_eq "$queue: what the kernel queued is what was scheduled and did not coalesce" "$queued" \
		$(($(counter $timer "work/$queue.scheduled") - $(counter $timer "work/$queue.coalesced")))
	assert_eq "$queue: what it started is what ran" "$started" "$(counter $timer "work/$queue.runs")"
	assert_eq "$queue: a tick is an interrupt" "$(counter $timer hardirq.runs)" "$(counter $timer hardirq.handled)"
done

# Histograms: on once nothing arrives, then a run each.
echo 1 >"$(wq $timer timing)"
set_up percpu cost_us 50
echo 1 >"$(wq $timer reset)"
burst 100
settle $timer
assert_eq "the histograms have each run" "100 100" \
	"$(hist_count $timer work/percpu wait_ns) $(hist_count $timer work/percpu run_ns)"

# Delayed: how late against the time they were due at. Timers count ticks, and on a busy host those
# can be behind the clock when a burst is queued; they are not so every time.
delayed_burst() {
	echo 1 >"$(wq $timer reset)"
	burst 20
	settle $timer
	[ "$(of_burst early)" -eq 0 ] && [ "$(max_late)" -le 300000000 ]
}
max_late() { awk '$1 == "max" { print $2 }' "$(wq $timer work/percpu/late_ns)"; }
set_up percpu delay_ms 100
for _ in {1..10}; do
	if delayed_burst; then break; fi
done
assert_eq "late_ns has each delayed run" 20 "$(hist_count $timer work/percpu late_ns)"
assert_eq "none ran early" 0 "$(of_burst early)"
assert_le "none later than 300 ms" 300000000 "$(max_late)"

sound $timer
