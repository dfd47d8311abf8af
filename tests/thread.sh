#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# lab-devices: edu2-intx+edu-msi
#
# The IRQ thread: it is a task of its own, allocates with GFP_KERNEL, takes a mutex and sleeps, in a
# journal that is kept anew for each run. The debug kernel would complain if any of it were wrong.

# shellcheck source=tests/lib/edu.sh
. "$(dirname "$0")/lib/edu.sh"
plan 10

load irq_mode=auto
device=$edu2
irq=$(irq_of $device)
echo 1 >"$(edu $device timing)"

# On PREEMPT_RT the hard handler has a thread, too, and the driver's own is the secondary one.
thread=$(pgrep "^irq/$irq-s-" || pgrep "^irq/$irq-" || :)
assert_eq "there is one thread for the interrupt" 1 "$(wc -w <<<"$thread")"
assert_match "it is a real-time task" "FIFO" "$(chrt -p "$thread" 2>/dev/null || awk '{ print ($41 == 1) ? "FIFO" : "other" }' "/proc/$thread/stat")"

echo "200 paced" >"$(edu $device trigger)"
settle $device
assert_eq "every interrupt woke it" 200 "$(counter $device hardirq.wake_thread)"
assert_eq "it ran for each" 200 "$(counter $device thread.runs)"
assert_eq "each run wrote one line of the journal" 200 "$(field $device journal recorded)"
assert_eq "no allocation failed" 0 "$(field $device journal lost)"
assert_eq "the journal keeps the last 16" 16 "$(grep -c '^run ' "$(edu $device journal)")"

# One at a time, each when the thread has gone to sleep: it sleeps before each of them.
asleep() { grep -q '^State:[[:space:]]*S' "/proc/$thread/status"; }
switches=$(awk '/^voluntary_ctxt/ { print $2 }' "/proc/$thread/status")
for _ in $(seq 100); do
	wait_for 5 asleep || break
	echo "1 paced" >"$(edu $device trigger)"
done
wait_for 5 asleep
assert_ge "it slept in between" 100 \
	$(($(awk '/^voluntary_ctxt/ { print $2 }' "/proc/$thread/status") - switches))

sound $device
