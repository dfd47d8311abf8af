#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# lab-devices: edu2-intx+edu-msi
# lab-timeout: 240
#
# Every way of handing interrupts on, against the kernel's own counts: the interrupt's row in
# /proc/interrupts and the rows HI and TASKLET of /proc/softirqs. Equal, not nearly.

# shellcheck source=tests/lib/edu.sh
. "$(dirname "$0")/lib/edu.sh"
plan 46

count=250

load irq_mode=auto
device=$edu2
irq=$(irq_of $device)
echo 1 >"$(edu $device timing)"

expected() { case " $2 " in *" $1 "*) echo $count ;; *) echo 0 ;; esac }

for way in none thread tasklet tasklet_hi all; do
	paths=$way
	[ $way != all ] || paths="thread tasklet tasklet_hi"
	check "$way is taken" sh -c "echo $way >$(edu $device defer)"
	settle $device
	echo 1 >"$(edu $device reset)"

	line=$(irq_count "$irq") hi=$(softirq HI) tasklet=$(softirq TASKLET)
	echo "$count paced" >"$(edu $device trigger)"
	settle $device
	line=$(($(irq_count "$irq") - line)) hi=$(($(softirq HI) - hi)) tasklet=$(($(softirq TASKLET) - tasklet))

	assert_eq "$way: hardirq.runs" $count "$(counter $device hardirq.runs)"
	assert_eq "$way: /proc/interrupts" $count $line
	for path in thread tasklet tasklet_hi; do
		assert_eq "$way: $path.runs, with one item each" "$(expected $path "$paths") $(expected $path "$paths")" \
			"$(counter $device $path.runs) $(counter $device $path.items)"
	done
	assert_eq "$way: row HI of /proc/softirqs" "$(expected tasklet_hi "$paths")" $hi
	assert_eq "$way: row TASKLET of /proc/softirqs" "$(expected tasklet "$paths")" $tasklet
	check "$way: the histograms agree with the counters" wait_for 10 histograms_agree $device
done

# What was counted is by CPU as well, and adds up to the same.
assert_eq "percpu adds up to stats" "$(awk '$2 != 0' "$(edu $device stats)" | sort)" \
	"$(awk '{ sum[$1] += $3 } END { for (name in sum) print name, sum[name] }' "$(edu $device percpu)" | sort)"
