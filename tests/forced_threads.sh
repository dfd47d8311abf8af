#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# lab-devices: edu2-intx+edu-msi
# lab-long: a boot of its own
# lab-append: threadirqs
#
# Hard handlers that the kernel forces into threads, as it does on PREEMPT_RT: the driver's own thread is a second one
# then. Every interrupt is served all the same, a storm is contained, and the books balance.

# shellcheck source=tests/lib/edu.sh
. "$(dirname "$0")/lib/edu.sh"
plan 40

state_is() { [ "$(field "$1" storm state)" = "$2" ]; }
recorded_to() { [ "$(field "$1" journal recorded)" -ge "$2" ]; }

load_pair storm_limit=20000
assert_eq "each interrupt has two threads" 6 "$(pgrep -c '^irq/[0-9]+-(s-)?rust_ir')"
for device in $edu0 $edu1 $edu2; do
	echo 1 >"$(edu "$device" timing)"
	for defer in thread tasklet tasklet_hi all none; do
		echo $defer >"$(edu "$device" defer)"
		check "$device: interrupts, $defer" timeout 60 sh -c "echo '50 paced' >$(edu "$device" trigger)"
	done
	echo thread >"$(edu "$device" defer)"
	check "$device: a factorial" sh -c "echo 5 >$(edu "$device" factorial)"

	# What is found while the source is polled has to get to the second thread.
	recorded=$(field "$device" journal recorded)
	echo "noack 60000" >"$(edu "$device" storm)"
	check "$device: a storm is found" wait_for 30 state_is "$device" masked
	check "$device: a factorial meanwhile" sh -c "echo 6 >$(edu "$device" factorial)"
	check "$device: interrupts meanwhile" timeout 60 sh -c "echo '10 paced' >$(edu "$device" trigger)"
	check "$device: its thread has seen them" wait_for 30 recorded_to "$device" $((recorded + 11))
	echo stop >"$(edu "$device" storm)"
	check "$device: it is calm again" wait_for 30 state_is "$device" calm
done
sound $edu0 $edu1 $edu2
