#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# lab-devices: edu2-intx+edu-msi
#
# The IRQ thread: it is a task of its own, allocates with GFP_KERNEL and takes a mutex, for a journal that is
# kept anew for each run, and sleeps in the middle of a run. The debug kernel would complain if any of it were wrong.

# shellcheck source=tests/lib/edu.sh
. "$(dirname "$0")/lib/edu.sh"
plan 13

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

# It polls a source that storms, and sleeps before each poll: all of it is one run. A thread between two runs sleeps
# whatever its handler does, but not one that is in the middle of one.
masked() { [ "$(field $device storm state)" = masked ]; }
calm() { [ "$(field $device storm state)" = calm ]; }
polls() { field $device storm polls; }
switches() { awk '/^voluntary_ctxt/ { print $2 }' "/proc/$thread/status"; }
polled_to() { [ "$(polls)" -ge "$1" ]; }
echo "noack 60000" >"$(edu $device storm)"
check "it is kept busy by a storm" wait_for 30 masked
runs=$(counter $device thread.runs)
slept=$(switches)
first=$(polls)
check "it polls" wait_for 60 polled_to $((first + 100))
last=$(polls)
slept=$(($(switches) - slept))
assert_eq "in one and the same run" "masked $runs" "$(field $device storm state) $(counter $device thread.runs)"
# The sleep before the first of them may have begun earlier.
assert_ge "it slept before each poll" $((last - first - 1)) "$slept"
echo stop >"$(edu $device storm)"
wait_for 30 calm

sound $device
