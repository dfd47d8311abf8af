#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# lab-long: the tools that trace
# lab-devices: edu2-intx+edu-msi
# lab-may-skip: this kernel has no BTF
# lab-may-skip: this guest has no perf for its kernel
# lab-timeout: 180
#
# The tracepoints irqkit:path_schedule and irqkit:path_run, as trace-cmd, perf and bpftrace see
# them: as many as our counters say, with the device, the path and the times that the histograms have.

# shellcheck source=tests/lib/edu.sh
. "$(dirname "$0")/lib/edu.sh"
plan 25

load irq_mode=auto
device=$edu2
tracefs=/sys/kernel/tracing
[ -e $tracefs/events ] || mount -t tracefs tracefs $tracefs
echo tasklet >"$(edu $device defer)"
work=$(mktemp -d)
on_exit rm -rf "$work"
cd "$work" || bail "no room in $work"

for event in path_schedule path_run; do
	check "the event irqkit:$event is there" test -d $tracefs/events/irqkit/$event
done

trigger="echo '100 paced' >$(edu $device trigger)"

check "trace-cmd records" trace-cmd record -q -e irqkit -o trace.dat sh -c "$trigger"
report=$(trace-cmd report -i trace.dat 2>/dev/null)
runs=$(grep -E 'path_run:' <<<"$report" | grep -F "$device" | grep -c 'tasklet' || :)
assert_eq "trace-cmd sees each run of the tasklet" 100 "$runs"
runs=$(grep -E 'path_run:' <<<"$report" | grep -F "$device" | grep -c 'hardirq' || :)
assert_eq "and of the hard handler" 100 "$runs"
diag "$(grep path_ <<<"$report" | head -n 4)"

# A burst on all paths, with the histograms on. Whoever raises it is on the interrupt's CPU and goes before its
# thread, whose requests so coalesce.
echo 0 >"/proc/irq/$(irq_of $device)/smp_affinity_list"
echo all >"$(edu $device defer)"
echo "10 paced" >"$(edu $device trigger)"
settle $device
echo 1 >"$(edu $device timing)"
echo 1 >"$(edu $device reset)"
check "trace-cmd records a burst" trace-cmd record -q -e irqkit -o bursts.dat \
	taskset -c 0 chrt -f 60 sh -c "echo '500 burst' >$(edu $device trigger)"
settle $device
trace-cmd report -i bursts.dat 2>/dev/null | grep -F "device=$device " >bursts.txt || :

# The events of a path: how many requests, and how many of those coalesced.
requests() {
	awk -v path="path=$1" '
		/ path_schedule: / { for (i = 1; i <= NF; i++) if ($i == path) { all++; some += $(i + 1) == "coalesced=1" } }
		END { print all + 0, some + 0 }' bursts.txt
}
# One of its times in all runs, as a histogram sums it up.
times() {
	awk -v path="path=$1" -v field="$2=" '
		/ path_run: / && index($0, path " ") {
			ns = substr($0, index($0, field) + length(field)) + 0
			count++
			sum += ns
			if (count == 1 || ns < min) min = ns
			if (ns > max) max = ns
		}
		END { printf "count %d sum %.0f min %.0f max %.0f\n", count, sum, min, max }' bursts.txt
}
for path in thread tasklet tasklet_hi; do
	assert_eq "$path: an event for each request, and those that coalesced say so" \
		"$(counter $device $path.scheduled) $(counter $device $path.coalesced)" "$(requests $path)"
	for which in wait_ns run_ns; do
		assert_eq "$path: $which of all runs is as in the histogram" \
			"$(tail -n 4 "$(edu $device $path)/$which" | tr '\n' ' ' | sed 's/ $//')" "$(times $path $which)"
	done
	assert_ge "$path: there were runs" 1 "$(counter $device $path.runs)"
done
assert_ge "some requests of the thread coalesced" 1 "$(counter $device thread.coalesced)"
assert_eq "hardirq: run_ns of all runs is as in the histogram" \
	"$(tail -n 4 "$(edu $device hardirq)/run_ns" | tr '\n' ' ' | sed 's/ $//')" "$(times hardirq run_ns)"
# Nobody asks for a hard handler: what raises the interrupt is the device.
assert_eq "hardirq: there are no requests" "0 0" "$(requests hardirq)"
echo 0 >"$(edu $device timing)"
echo tasklet >"$(edu $device defer)"

if perf=$(command -v perf) && [ -n "$perf" ]; then
	check "perf counts" sh -c "perf stat -a -x, -e irqkit:path_run -o perf.txt -- sh -c \"$trigger\""
	assert_eq "perf sees both of each interrupt" 200 "$(awk -F, '/path_run/ { print $1 }' perf.txt)"
else
	skip "perf counts" "this guest has no perf for its kernel"
	skip "perf sees both of each interrupt" "this guest has no perf for its kernel"
fi

# Without BTF and BPF bpftrace can't do anything.
if [ -e /sys/kernel/btf/vmlinux ] && command -v bpftrace >/dev/null; then
	# A CPU runs no BPF program in an interrupt of another one: the events that nest are lost to
	# BPF. So each interrupt waits until the one before it is over, tracing included.
	echo "for i in \$(seq 100); do echo 1 >$(edu $device trigger) || exit; done" >go
	check "bpftrace counts" timeout 120 bpftrace -o bpf.txt -c "/bin/sh $work/go" \
		-e 'tracepoint:irqkit:path_run { @runs = count(); @run = hist(args.run_ns); }'
	assert_eq "bpftrace sees both of each interrupt" 200 "$(awk '/^@runs:/ { print $2 }' bpf.txt)"
else
	skip "bpftrace counts" "this kernel has no BTF"
	skip "bpftrace sees both of each interrupt" "this kernel has no BTF"
fi
