#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# lab-devices: edu2-intx+edu-msi
#
# Softirqs run when the hard interrupt ends, HI before TASKLET: the order of what one interrupt is
# handed to, as the kernel's own tracepoints and ours tell it.

# shellcheck source=tests/lib/edu.sh
. "$(dirname "$0")/lib/edu.sh"
plan 6

load irq_mode=auto
device=$edu2
irq=$(irq_of $device)
tracefs=/sys/kernel/tracing
[ -e $tracefs/events ] || mount -t tracefs tracefs $tracefs
echo 0 >/proc/irq/"$irq"/smp_affinity_list 2>/dev/null || echo 1 >/proc/irq/"$irq"/smp_affinity
echo all >"$(edu $device defer)"
echo "20 paced" >"$(edu $device trigger)"
settle $device
echo 1 >"$(edu $device reset)"

on_exit sh -c "echo 0 >$tracefs/events/enable; echo >$tracefs/trace"
echo 0 >$tracefs/tracing_on
echo >$tracefs/trace
for event in irq/irq_handler_entry irq/irq_handler_exit irq/softirq_entry irqkit/path_run; do
	echo 1 >$tracefs/events/$event/enable
done
echo 1 >$tracefs/tracing_on
# Each write returns when all that its interrupt caused is over, to its last line in the trace.
for _ in $(seq 100); do echo 1 >"$(edu $device trigger)"; done
settle $device
echo 0 >$tracefs/tracing_on

# One letter for each event on CPU 0 that concerns us: E and X the handler's entry and exit, H and T
# the entry of the two softirqs, h and t the run of the tasklets.
story=$(awk -v irq="irq=$irq" -v device="$device" '
	!/\[000\]/ { next }
	/irq_handler_entry/ && $0 ~ irq "( |$)" { printf "E" }
	/irq_handler_exit/ && $0 ~ irq "( |$)" { printf "X" }
	/softirq_entry/ && /vec=0 / { printf "H" }
	/softirq_entry/ && /vec=6 / { printf "T" }
	/path_run/ && $0 ~ device && /tasklet_hi/ { printf "h"; next }
	/path_run/ && $0 ~ device && /tasklet/ { printf "t" }
	' $tracefs/trace)
diag "the first interrupts: ${story:0:24}"
assert_eq "all of them are in the trace" 100 "$(tr -cd E <<<"$story" | wc -c)"
assert_eq "handler, HI with our tasklet, TASKLET with ours: each time, in this order" 100 "$(grep -o 'EXHhTt' <<<"$story" | wc -l)"
assert_eq "and nothing else" "" "${story//EXHhTt/}"

# The same told by the clock: what runs first has waited less.
echo 1 >"$(edu $device timing)"
echo 1 >"$(edu $device reset)"
echo "200 paced" >"$(edu $device trigger)"
settle $device
mean() { awk '$1 == "sum" { s = $2 } $1 == "count" { n = $2 } END { print int(s / n) }' "$(edu $device "$1/wait_ns")"; }
diag "mean wait in ns: tasklet_hi $(mean tasklet_hi), tasklet $(mean tasklet), thread $(mean thread)"
check "tasklet_hi waited less than tasklet" test "$(mean tasklet_hi)" -lt "$(mean tasklet)"
sound $device
