#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# lab-long: every cause there is
# lab-devices: edu2-intx+edu-msi
#
# The causes of an interrupt are 32 bits, and any of them, and all at once, are an interrupt: what
# reads as all ones is not yet a device that is gone.

# shellcheck source=tests/lib/edu.sh
. "$(dirname "$0")/lib/edu.sh"
plan 18

load_pair irq_mode=auto
# Else nobody would see a run in the wrong context, or beside itself.
for device in $edu0 $edu1 $edu2; do echo 1 >"$(edu "$device" timing)"; done

each_bit() {
	local bit
	for ((bit = 0; bit < 32; bit++)); do
		printf '1 %#x' $((1 << bit)) >"$debugfs/$1/trigger" || return
	done
}
answers() { echo "$(counter "$1" hardirq.handled) $(counter "$1" hardirq.wake_thread)"; }

for device in $edu0 $edu2; do
	mark_log
	echo none >"$(edu "$device" defer)"
	check "$device: each of the 32 causes is served" each_bit "$device"
	settle "$device"
	assert_eq "$device: two of them by the thread: a factorial's and a transfer's" "30 2" "$(answers "$device")"
	check "$device: so is every second one, and the rest" \
		sh -c "printf '1 0x55555555' >$(edu "$device" trigger) && printf '1 0xaaaaaaaa' >$(edu "$device" trigger)"
	check "$device: and all of them at once" sh -c "printf '10 0xffffffff' >$(edu "$device" trigger)"
	settle "$device"
	# 0x55555555 has both of the thread's.
	assert_eq "$device: by the thread, too" "31 13" "$(answers "$device")"
	assert_eq "$device: nobody had waited for a factorial or a transfer" "12 12" \
		"$(field "$device" factorial late) $(field "$device" dma late)"
	assert_eq "$device: the log has nothing to say of it" "" "$(driver_log)"
	sound "$device"
done
