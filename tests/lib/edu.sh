# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# What the guest tests of rust_irq_demo share. Source it from a test in tests/; it sources ktap.sh.
#
#   load [PARAM...]      loads the driver (afresh if it is loaded), all devices bound
#   load_pair [PARAM...] the same, with the first two devices on their INTx line and the third on MSI
#   unload               removes it
#   edu DEVICE FILE      the path of a file of a device in debugfs
#   counter DEVICE NAME  one counter, such as hardirq.runs
#   field DEVICE FILE N  the value of the line N of a control file
#   irq_of DEVICE        the number of its interrupt
#   irq_count IRQ [CPU]  its count in /proc/interrupts, over all CPUs or on one
#   softirq VECTOR       its count in /proc/softirqs
#   balanced DEVICE      whether scheduled == runs + coalesced + cancelled on every path
#   at_rest DEVICE       that, and whether every run of the hard handler has ended
#   settle DEVICE...     waits until all are at rest, else the test fails
#   hist_count DEVICE PATH WHICH  the line `count` of a histogram
#   driver_log           the driver's and irqkit's lines in the kernel's log since mark_log
#   sound DEVICE...      one test a device: the books balance, histograms add up, nothing out of place

# shellcheck source=scripts/guest/ktap.sh
. "$(dirname "${BASH_SOURCE[0]}")/../../scripts/guest/ktap.sh"

driver=rust_irq_demo
debugfs=/sys/kernel/debug/$driver
pci=/sys/bus/pci/devices

# scripts/guest/devices.sh places them. The first two share one INTx line.
edu0=0000:00:04.0
edu1=0000:00:08.0
# shellcheck disable=SC2034 # for the tests
edu2=0000:00:05.0

edu() { printf '%s\n' "$debugfs/$1/$2"; }

unload() {
	[ ! -e "/sys/module/$driver" ] || modprobe -r "$driver"
}

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

counter() { awk -v name="$2" '$1 == name { print $2; found = 1 } END { exit !found }' "$debugfs/$1/stats"; }

field() { awk -v name="$3" '$1 == name { $1 = ""; print substr($0, 2); found = 1 } END { exit !found }' "$debugfs/$1/$2"; }

hist_count() { awk '$1 == "count" { print $2 }' "$debugfs/$1/$2/$3"; }

irq_of() { cat "$pci/$1/irq"; }

# Columns are found by the CPU that heads them: one that is offline has none.
irq_count() {
	awk -v irq="$1:" -v cpu="${2:+CPU$2}" '
		NR == 1 { for (i = 1; i <= NF; i++) name[i + 1] = $i; n = NF; next }
		$1 == irq { for (i = 2; i <= n + 1; i++) if (cpu == "" || name[i] == cpu) sum += $i }
		END { print sum + 0 }' /proc/interrupts
}

softirq() {
	awk -v vector="$1:" '$1 == vector { for (i = 2; i <= NF; i++) sum += $i } END { print sum + 0 }' /proc/softirqs
}

# A hard handler's run is over when what it returned is counted. (A reset while one runs puts those two
# apart: then only the books can be looked at.)
at_rest() {
	balanced "$1" && awk '
		{ sub(/.*\./, "", $1); count[$1] += $2 }
		END { exit count["runs"] != count["handled"] + count["wake_thread"] + count["none"] }
		' <(grep '^hardirq\.' "$debugfs/$1/stats")
}

balanced() {
	awk '
		{ split($1, part, "."); count[part[1], part[2]] = $2; paths[part[1]] }
		END {
			for (p in paths)
				if (count[p, "scheduled"] != count[p, "runs"] + count[p, "coalesced"] + count[p, "cancelled"])
					exit 1
		}' "$debugfs/$1/stats"
}

settle() {
	local device
	for device in "$@"; do
		wait_for 20 at_rest "$device" || {
			cat "$debugfs/$device/stats"
			bail "$device: work is still in flight after 20 s"
		}
	done
}

mark_log() { log_mark=$(dmesg | wc -l); }
driver_log() { dmesg | tail -n "+$((${log_mark:-0} + 1))" | grep -E "irqkit|$driver" || :; }

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

never_out_of_place() {
	local wrong
	wrong=$(awk '/\.(context_mismatch|overlap) / && $2 != 0' "$debugfs/$1/stats")
	[ -z "$wrong" ] || {
		printf '%s: %s\n' "$1" "$wrong"
		return 1
	}
}

# 2 tests for each device.
sound() {
	local device
	for device in "$@"; do
		check "$device: the books balance" wait_for 20 at_rest "$device"
		check "$device: no run in the wrong context, none beside itself" never_out_of_place "$device"
	done
}

[ -d /sys/kernel/debug/tracing ] || mount -t debugfs debugfs /sys/kernel/debug 2>/dev/null || :
on_exit unload
mark_log
