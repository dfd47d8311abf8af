#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# lab-devices: edu2-intx+edu-msi
# lab-timeout: 240
# lab-kmemleak: what is left of a device or a module that went
#
# CPUs go and come while interrupts arrive: none is lost, and what a CPU counted stays counted when
# it is gone.

# shellcheck source=tests/lib/edu.sh
. "$(dirname "$0")/lib/edu.sh"
plan 9

online=/sys/devices/system/cpu/cpu1/online
on_exit sh -c "echo 1 >$online"

load irq_mode=auto
device=$edu2
irq=$(irq_of $device)
echo all >"$(edu $device defer)"
echo 1 >"$(edu $device timing)"

echo 1 >/proc/irq/"$irq"/smp_affinity_list 2>/dev/null || echo 2 >/proc/irq/"$irq"/smp_affinity
echo "100 paced" >"$(edu $device trigger)"
settle $device
on_cpu1=$(awk '$1 == "hardirq.runs" && $2 == 1 { print $3 }' "$(edu $device percpu)")
assert_ge "CPU 1 takes interrupts" 90 "${on_cpu1:-0}"

check "CPU 1 goes offline" sh -c "echo 0 >$online"
assert_eq "what it counted is still there" "$on_cpu1" \
	"$(awk '$1 == "hardirq.runs" && $2 == 1 { print $3 }' "$(edu $device percpu)")"
check "its interrupts go elsewhere" timeout 30 sh -c "echo '100 paced' >$(edu $device trigger)"
assert_eq "none was lost" 200 "$(counter $device hardirq.runs)"
check "CPU 1 comes back" sh -c "echo 1 >$online"

flip() {
	local i
	for ((i = 0; i < 10; i++)); do
		echo 0 >$online && echo 1 >$online || return 1
	done
}
echo 1 >"$(edu $device reset)"
echo "5000 paced" >"$(edu $device trigger)" &
raiser=$!
check "ten times more, while interrupts arrive" flip
status=0
wait $raiser || status=$?
assert_eq "every one of them was served" 0 $status
settle $device
check "and recorded" wait_for 10 histograms_agree $device
