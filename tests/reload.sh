#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# lab-devices: edu2-intx+edu-msi
# lab-may-skip: this kernel has no kmemleak
# lab-timeout: 450
# lab-kmemleak: what is left of a device or a module that went
#
# insmod and rmmod, two hundred times in a long run, with interrupts in between: nothing may be left of any
# of them. On the debug kernel kmemleak looks for what was lost; elsewhere memory may not grow.

# shellcheck source=tests/lib/edu.sh
. "$(dirname "$0")/lib/edu.sh"
parts=$(fewer 4 3)
plan $((7 + parts))

rounds=$(fewer 200 9)
expedite
kmemleak=/sys/kernel/debug/kmemleak

used() {
	local file
	# What is only cached is not used, nor what was freed and KASAN holds back: that is more than half of it all.
	sync
	echo 3 >/proc/sys/vm/drop_caches
	for file in /sys/kernel/slab/*/shrink; do [ ! -e "$file" ] || echo 1 >"$file"; done
	awk '/^(SUnreclaim|VmallocUsed|Percpu|KernelStack):/ { sum += $2 } END { print sum }' /proc/meminfo
}

cycle() {
	modprobe $driver irq_mode="$1" &&
		echo "5 paced" >"$(edu $edu0 trigger)" &&
		echo "5 paced" >"$(edu $edu2 trigger)" &&
		modprobe -r $driver irqkit
}
cycles() {
	local i
	for ((i = 0; i < $1; i++)); do
		case $((i % 3)) in 0) cycle auto ;; 1) cycle intx ;; 2) cycle msi ;; esac || return 1
	done
}

[ ! -e $kmemleak ] || echo clear >$kmemleak
# The first rounds fill caches that are there to stay. Where kmemleak looks, a round takes some ten seconds.
warm=$(fewer 20 4)
[ ! -e $kmemleak ] || warm=4
check "rounds to warm up" cycles "$warm"
memory=("$(used)")
for ((part = 0; part < parts; part++)); do
	check "$((rounds / parts)) rounds" cycles $((rounds / parts))
	memory+=("$(used)")
done
diag "kernel memory in use before, and after each part: ${memory[*]} kB"
# A leak goes on; a cache that has grown stays so. So what counts is the part that took least. One small
# allocation a device and round would be 50 * 3 * 64 bytes and up; the noise of slabs and per-CPU
# pages is some times as large, a leaked device (2 pages of DMA and more) is not. In few rounds nothing less shows.
least=$((memory[1] - memory[0]))
for ((part = 1; part < parts; part++)); do
	grown=$((memory[part + 1] - memory[part]))
	least=$((grown < least ? grown : least))
done
noise=$(fewer 50 64)
assert_le "kernel memory did not grow by $noise kB in each part" "$noise" "$least"
assert_eq "no interrupt is left" 0 "$(grep -c $driver /proc/interrupts || :)"
assert_eq "no file is left" 0 "$(find /sys/kernel/debug -maxdepth 1 -name $driver | wc -l)"
# What they share of irqkit lockdep must know by one name.
beside() {
	modprobe rust_workqueue source=timer && modprobe $driver && [ -d /sys/kernel/debug/rust_workqueue/timer0 ] &&
		[ -d "$debugfs/$edu0" ] && modprobe -r rust_workqueue $driver irqkit
}
check "another driver of the suite comes and goes beside it" beside

# What was freed by RCU needs a while to be seen as such; two scans are kmemleak's own advice. One that gave up takes none.
look() { echo scan >$kmemleak && sleep 5 && echo scan >$kmemleak; }
if [ -e $kmemleak ] || [ "${LAB_KERNEL:-}" = debug ]; then
	check "kmemleak looks" look
	assert_eq "kmemleak finds nothing" "" "$(cat $kmemleak 2>&1)"
else
	skip "kmemleak looks" "this kernel has no kmemleak"
	skip "kmemleak finds nothing" "this kernel has no kmemleak"
fi
