#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# lab-devices: edu2-intx+edu-msi
#
# Two devices on one INTx line: each takes its own interrupts, says NONE to the other's, and the
# kernel finds nothing that nobody took.

# shellcheck source=tests/lib/edu.sh
. "$(dirname "$0")/lib/edu.sh"
plan 17

count=500

load_pair irq_mode=auto
irq=$(irq_of $edu0)
assert_eq "both devices have one line" "$irq" "$(irq_of $edu1)"
assert_ne "the third device has another" "$irq" "$(irq_of $edu2)"
row=$(grep "^ *$irq:" /proc/interrupts)
assert_eq "both handlers stand in /proc/interrupts" 2 "$(grep -o "$driver" <<<"$row" | wc -l)"
assert_match "the line is level triggered" "fasteoi" "$row"

echo 1 >"$(edu $edu0 timing)"
echo 1 >"$(edu $edu1 timing)"
# Not to the thread: while one runs, the kernel can't know yet whether the interrupt was taken, and its
# count of those that nobody took is a guess.
echo tasklet >"$(edu $edu0 defer)"
echo tasklet >"$(edu $edu1 defer)"
before=$(irq_count "$irq")
echo "$count paced" >"$(edu $edu0 trigger)"
settle $edu0 $edu1
taken() { echo $(($(counter "$1" hardirq.handled) + $(counter "$1" hardirq.wake_thread))); }

assert_eq "the first took its own" $count "$(taken $edu0)"
assert_eq "the first said NONE to nothing" 0 "$(counter $edu0 hardirq.none)"
assert_eq "the second took nothing" 0 "$(taken $edu1)"
assert_eq "the second said NONE to each" $count "$(counter $edu1 hardirq.none)"
assert_eq "the kernel counted as many" $count $(($(irq_count "$irq") - before))

# Both at once: one call of the line may serve both devices, but never one device twice.
echo "$count paced" >"$(edu $edu0 trigger)" &
first=$!
echo "$count paced" >"$(edu $edu1 trigger)" &
second=$!
status=0
wait $first || status=$?
wait $second || status=$?
assert_eq "both can be raised at once" 0 $status
settle $edu0 $edu1
assert_eq "the first took its own beside the second's" $((2 * count)) "$(taken $edu0)"
assert_eq "the second took its own beside the first's" $count "$(taken $edu1)"
assert_eq "both handlers ran equally often" "$(counter $edu0 hardirq.runs)" "$(counter $edu1 hardirq.runs)"
assert_eq "the kernel found none that nobody took" "unhandled 0" "$(grep '^unhandled' "/proc/irq/$irq/spurious")"
assert_eq "the log has no complaint" "" "$(driver_log | grep -iE 'spurious|error|storm|nobody')"

sound $edu0
