#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# lab-devices: edu2-intx+edu-msi
#
# smp_affinity and smp_affinity_list: what is written is read back, and interrupts go there, with
# all that they are handed to.

# shellcheck source=tests/lib/edu.sh
. "$(dirname "$0")/lib/edu.sh"
plan 17

load irq_mode=auto
device=$edu2
irq=$(irq_of $device)
echo all >"$(edu $device defer)"
# The trigger runs where it likes; only the handlers are bound.

on_cpu() { awk -v name="$1" -v cpu="$2" '$1 == name && $2 == cpu { print $3; found = 1 } END { if (!found) print 0 }' "$(edu $device percpu)"; }

for cpu in 0 1 0; do
	mask=$((1 << cpu))
	if [ $cpu -eq 0 ]; then
		check "smp_affinity takes $mask" sh -c "echo $mask >/proc/irq/$irq/smp_affinity"
	else
		check "smp_affinity_list takes $cpu" sh -c "echo $cpu >/proc/irq/$irq/smp_affinity_list"
	fi
	assert_eq "both files say so" "$mask $cpu" \
		"$((16#$(cat /proc/irq/"$irq"/smp_affinity))) $(cat /proc/irq/"$irq"/smp_affinity_list)"

	# The move takes effect with an interrupt that arrives after it, so the first may go astray.
	echo "10 paced" >"$(edu $device trigger)"
	settle $device
	assert_eq "the effective affinity follows" $cpu "$(cat /proc/irq/"$irq"/effective_affinity_list)"

	echo 1 >"$(edu $device reset)"
	before=$(irq_count "$irq" $cpu)
	echo "200 paced" >"$(edu $device trigger)"
	settle $device
	assert_eq "CPU $cpu counts all in /proc/interrupts" 200 $(($(irq_count "$irq" $cpu) - before))
	assert_eq "CPU $cpu runs the hard handler and both tasklets" "200 200 200" \
		"$(on_cpu hardirq.runs $cpu) $(on_cpu tasklet.runs $cpu) $(on_cpu tasklet_hi.runs $cpu)"
done

write_errno "a mask without a CPU that is there is refused" EINVAL "/proc/irq/$irq/smp_affinity" 0
assert_eq "and changes nothing" 0 "$(cat /proc/irq/"$irq"/smp_affinity_list)"
