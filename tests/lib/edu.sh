# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# What the guest tests of rust_irq_demo share. Source it from a test in tests/; it sources driver.sh.
#
#   load [PARAM...]      loads the driver (afresh if it is loaded), all devices bound
#   load_pair [PARAM...] the same, with the first two devices on their INTx line and the third on MSI
#   unload               removes it
#   edu DEVICE FILE      the path of a file of a device in debugfs
#
# and what tests/lib/driver.sh has.

driver=rust_irq_demo

unload() {
	[ ! -e "/sys/module/$driver" ] || modprobe -r "$driver"
}

# shellcheck source=tests/lib/driver.sh
. "$(dirname "${BASH_SOURCE[0]}")/driver.sh"

# scripts/guest/devices.sh places them. The first two share one INTx line.
edu0=0000:00:04.0
edu1=0000:00:08.0
# shellcheck disable=SC2034 # for the tests
edu2=0000:00:05.0

edu() { printf '%s\n' "$debugfs/$1/$2"; }

load() {
	unload
	modprobe "$driver" "$@" || bail "the driver does not load"
}

# By the kernel's own switch: a driver that may choose takes MSI where it can.
load_pair() {
	local device status=0
	unload
	for device in $edu0 $edu1; do echo 0 >"$pci/$device/msi_bus"; done
	modprobe "$driver" "$@" || status=$?
	for device in $edu0 $edu1; do echo 1 >"$pci/$device/msi_bus"; done
	[ $status -eq 0 ] || bail "the driver does not load"
}

# The histograms of a path against its counters, for all of them or with a reason on stdout.
# A run begins with a count and ends with a record, so look until they agree.
histograms_agree() {
	local device=$1 path which runs
	for path in hardirq thread tasklet tasklet_hi; do
		runs=$(counter "$device" "$path.runs")
		for which in wait_ns run_ns; do
			awk -v runs="$runs" -v what="$device $path/$which" -v some="$([ $path/$which != hardirq/wait_ns ] || echo 1)" '
				NF == 3 { sum += $3; next }
				{ total[$1] = $2 }
				END {
					if (sum + 0 != total["count"]) { print what ": the buckets hold " sum + 0 ", count is " total["count"]; exit 1 }
					# How long it waited is known of the interrupts that were raised by a trigger.
					if (some ? runs < total["count"] : runs != total["count"]) { print what ": count is " total["count"] ", runs " runs; exit 1 }
					if (total["min"] > total["max"]) { print what ": min is above max"; exit 1 }
				}' "$debugfs/$device/$path/$which" || return 1
		done
	done
}
