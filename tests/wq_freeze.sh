#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# lab-long: the machine tries to sleep
# lab-timeout: 60
# lab-expect-dmesg: 0000:00:1e.0: PM: failed to suspend: error -95
#
# A freezable queue stands still while the machine goes to sleep; the others do not. The machine does
# not get there, because the file system of the checkout can't be suspended, but everything is frozen
# on the way, and thawed again.

# shellcheck source=tests/lib/wq.sh
. "$(dirname "$0")/lib/wq.sh"
plan 9

load_timer timers=3
tracefs=/sys/kernel/tracing
[ -e $tracefs/events ] || mount -t tracefs tracefs $tracefs
clock=$(sed -E 's/.*\[(.*)\].*/\1/' $tracefs/trace_clock)
on_exit sh -c "echo $clock >$tracefs/trace_clock; echo 0 >$tracefs/events/irqkit/enable"
# Where workqueues are frozen and thawed the kernel says nothing of its own.
on_exit sh -c "echo 0 >$tracefs/events/lab/enable; echo >$tracefs/kprobe_events"
echo 'r:lab/frozen freeze_workqueues_begin' >$tracefs/kprobe_events
echo 'p:lab/thawed thaw_workqueues' >>$tracefs/kprobe_events
echo mono >$tracefs/trace_clock
echo 4096 >$tracefs/buffer_size_kb

# The freezer waits for the item of timer0, which runs for five seconds; meanwhile the other two go on
# queueing, the one to a freezable queue as well, the other not.
set_up freezable sleep_us 5000000
echo freezable >"$(wq timer1 queue)"
echo percpu >"$(wq timer2 queue)"
for device in timer1 timer2; do echo 100 >"$(wq $device rate_hz)"; done
sleep 0.3
echo >$tracefs/trace
echo 1 >$tracefs/events/irqkit/path_run/enable
echo 1 >$tracefs/events/lab/enable
begin_burst 1
check "an item runs on a freezable queue" wait_for 5 grep -qx 'running 1' "$(wq $timer burst)"
echo freeze 2>/dev/null >/sys/power/state
sleep 0.5
for device in timer1 timer2; do echo 0 >"$(wq $device rate_hz)"; done
echo 0 >$tracefs/events/irqkit/path_run/enable
echo 0 >$tracefs/events/lab/enable

# Runs of a device before, during and after. What was under way when the queues were frozen is waited
# for, and counts as during.
counts() {
	awk -v device="$1" '
		{ for (i = 1; i <= NF; i++) if ($i ~ /^[0-9]+\.[0-9]+:$/) { time = $i + 0; break } }
		/ frozen: / { begin = time }
		/ thawed: / && begin && !end { end = time }
		/path_run/ && /work\// && index($0, device) { at[n++] = time }
		END {
			for (i = 0; i < n; i++)
				if (at[i] < begin) before++
				else if (at[i] < end) during++
				else after++
			print before + 0, during + 0, after + 0, int((end - begin) * 1000)
		}' $tracefs/trace
}
read -r before during after ms <<<"$(counts timer1)"
diag "freezable: $before runs before, $during during and $after after the $ms ms that they were frozen"
assert_ge "the freezer has waited for the item that ran" 200 "$ms"
assert_ge "freezable: items ran before" 1 "$before"
assert_le "freezable: none while frozen, but one that was under way" 1 "$during"
assert_ge "freezable: and again afterwards" 1 "$after"
read -r before during after ms <<<"$(counts timer2)"
diag "percpu: $before runs before, $during during and $after after"
assert_ge "percpu: items ran all the while" 10 "$during"
assert_eq "the item that the freezer waited for has ended" 1 "$(of_burst 'done')"

sound timer1
