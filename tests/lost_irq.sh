#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# lab-long: it waits for timeouts
# lab-devices: edu2-intx+edu-msi
#
# Interrupts that don't arrive, on a pin that is masked and by a message that is not sent: who waits
# for one gets ETIMEDOUT, its file and one line of the log say so, and when they arrive again all works.

# shellcheck source=tests/lib/edu.sh
. "$(dirname "$0")/lib/edu.sh"
plan 32

load_pair irq_mode=auto
# Else nobody would see a run in the wrong context, or beside itself.
for device in $edu0 $edu1 $edu2; do echo 1 >"$(edu "$device" timing)"; done
work=$(mktemp -d)
on_exit rm -rf "$work"

# Behind the driver's back, in the configuration of the device: INTx disabled, MSI disabled.
silence() { setpci -s $edu0 COMMAND=400:400 && setpci -s $edu2 CAP_MSI+2.w=0:1; }
speak() { setpci -s $edu0 COMMAND=0:400 && setpci -s $edu2 CAP_MSI+2.w=1:1; }
on_exit speak
mark_log
check "the pin is masked, and the message off" silence

# Each waits for itself, at most 2 s, so all wait together.
try() {
	local device=$1 file=$2 text=$3
	{ printf %s "$text" >"$(edu "$device" "$file")"; } 2>"$work/$device.$file" &
	waiting+=($!)
}
waiting=()
for device in $edu0 $edu2; do
	try "$device" factorial 5
	try "$device" dma "roundtrip 100"
	try "$device" trigger "3 0x2 paced"
done
for pid in "${waiting[@]}"; do wait "$pid" || :; done

said() { driver_log | grep -cF "$1/$2: \"$3\" refused: the device did not interrupt in time" || :; }
for device in $edu0 $edu2; do
	while read -r file text; do
		assert_match "$device: $file times out" "Connection timed out$" "$(cat "$work/$device.$file")"
		assert_eq "$device: $file says so in the log, once" 1 "$(said "$device" "$file" "$text")"
	done <<-END
		factorial 5
		dma roundtrip 100
		trigger 3 0x2 paced
	END
	assert_eq "$device: there is no factorial" "none -110" "$(field "$device" factorial value) $(field "$device" factorial result)"
	assert_eq "$device: the transfer got nowhere" "0 -110" "$(field "$device" dma bytes) $(field "$device" dma result)"
	assert_eq "$device: the trigger came no further than the first" "1 -110" \
		"$(field "$device" trigger raised) $(field "$device" trigger result)"
done

check "they may speak again" speak
# A pin that is still raised interrupts now. A message that was not sent is lost, but the causes are there
# for the next one.
for device in $edu0 $edu2; do
	check "$device: the trigger works again" timeout 30 sh -c "echo '20 paced' >$(edu "$device" trigger)"
	settle "$device"
	assert_eq "$device: what came too late is nobody's" "1 1" "$(field "$device" factorial late) $(field "$device" dma late)"
	echo 6 >"$(edu "$device" factorial)"
	assert_eq "$device: so does the factorial" "720 0" "$(field "$device" factorial value) $(field "$device" factorial result)"
	echo "roundtrip 4095" >"$(edu "$device" dma)"
	assert_eq "$device: and DMA" "8190 0 0" \
		"$(field "$device" dma bytes) $(field "$device" dma mismatches) $(field "$device" dma result)"
	sound "$device"
done
