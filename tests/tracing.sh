#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# lab-long: the tools that trace
# lab-devices: edu2-intx+edu-msi
# lab-may-skip: this kernel has no BTF
# lab-may-skip: this guest has no perf for its kernel
# lab-timeout: 180
#
# The tracepoints irqkit:path_schedule and irqkit:path_run, as trace-cmd, perf and bpftrace see
# them: as many as our counters say, with the device, the path and the times.

# shellcheck source=tests/lib/edu.sh
. "$(dirname "$0")/lib/edu.sh"
plan 9

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
