#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# lab-timeout: 120
# lab-expect-dmesg: PM: failed to suspend async
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
on_exit sh -c "echo $clock >$tracefs/trace_clock; echo 0 >$tracefs/events/irqkit/enable; echo 0 >$tracefs/events/power/suspend_resume/enable"
echo mono >$tracefs/trace_clock
echo 4096 >$tracefs/buffer_size_kb

# The freezer waits for the item of timer0, which runs for three seconds; meanwhile the other two go on
# queueing, the one to a freezable queue as well, the other not.
set_up freezable sleep_us 3000000
echo freezable >"$(wq timer1 queue)"
echo percpu >"$(wq timer2 queue)"
for device in timer1 timer2; do echo 100 >"$(wq $device rate_hz)"; done
sleep 0.3
echo >$tracefs/trace
echo 1 >$tracefs/events/irqkit/path_run/enable
echo 1 >$tracefs/events/power/suspend_resume/enable
begin_burst 1
check "an item runs on a freezable queue" wait_for 5 grep -qx 'running 1' "$(wq $timer burst)"
echo freeze 2>/dev/null >/sys/power/state
sleep 0.5
for device in timer1 timer2; do echo 0 >"$(wq $device rate_hz)"; done
echo 0 >$tracefs/events/irqkit/path_run/enable
echo 0 >$tracefs/events/power/suspend_resume/enable

# Runs of a device before, during and after, where `during` is the second half of what the freezer took:
# user space comes first.
counts() {
	awk -v device="$1" '
		{ for (i = 1; i <= NF; i++) if ($i ~ /^[0-9]+\.[0-9]+:$/) { time = $i + 0; break } }
		/suspend_resume: freeze_processes\[.*begin/ { begin = time }
		/suspend_resume: freeze_processes\[.*end/ { end = time }
		/path_run/ && /work\// && index($0, device) { at[n++] = time }
		END {
			for (i = 0; i < n; i++)
				if (at[i] < begin) before++
				else if (at[i] < (begin + end) / 2) continue
				else if (at[i] < end) during++
				else after++
			print before + 0, during + 0, after + 0, int((end - begin) * 1000)
		}' $tracefs/trace
}
read -r before during after ms <<<"$(counts timer1)"
diag "freezable: $before runs before, $during during and $after after the $ms ms that it took to freeze"
assert_ge "the freezer has waited for the item that ran" 500 "$ms"
assert_ge "freezable: items ran before" 1 "$before"
assert_eq "freezable: none while frozen" 0 "$during"
assert_ge "freezable: and again afterwards" 1 "$after"
read -r before during after ms <<<"$(counts timer2)"
diag "percpu: $before runs before, $during during and $after after"
assert_ge "percpu: items ran all the while" 20 "$during"
assert_eq "the item that the freezer waited for has ended" 1 "$(of_burst 'done')"

sound timer1
