# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# What the guest tests of all drivers share. A file of tests/lib sources it after it has set `driver`,
# the module's name, and `unload`, the function that removes it; it sources ktap.sh.
#
#   counter DEVICE NAME  one counter, such as hardirq.runs
#   field DEVICE FILE N  the value of the line N of a control file
#   irq_of DEVICE        the number of its interrupt
#   irq_count IRQ [CPU]  its count in /proc/interrupts, over all CPUs or on one
#   softirq VECTOR       its count in /proc/softirqs
#   balanced DEVICE      whether scheduled == runs + coalesced + cancelled on every path
#   at_rest DEVICE       that, and whether every run of a hard handler has ended
#   settle DEVICE...     waits until all are at rest, else the test fails
#   hist_count DEVICE PATH WHICH  the line `count` of a histogram
#   driver_log           the driver's and irqkit's lines in the kernel's log since mark_log
#   sound DEVICE...      two tests a device: the books balance, nothing out of place
#   fewer N [FEW]        N in a long run, else FEW or a tenth of N
#   expedite             grace periods are short from now on: loading and unloading is half waiting for them

# shellcheck source=scripts/guest/ktap.sh
. "$(dirname "${BASH_SOURCE[0]}")/../../scripts/guest/ktap.sh"

# shellcheck disable=SC2154 # set by the file that sources this one
debugfs=/sys/kernel/debug/$driver
pci=/sys/bus/pci/devices

counter() { awk -v name="$2" '$1 == name { print $2; found = 1 } END { exit !found }' "$debugfs/$1/stats"; }

# The same of all the queues of a device: counters DEVICE hardirq/rx runs is the sum of hardirq/rx0.runs, rx1.runs …
counters() {
	awk -v name="^$2[0-9]+\\\\.$3\$" '$1 ~ name { n += $2; found = 1 } END { print n + 0; exit !found }' "$debugfs/$1/stats"
}

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
		' <(grep '^hardirq[./]' "$debugfs/$1/stats")
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

fewer() { if [ -n "${LAB_LONG:-}" ]; then echo "$1"; else echo "${2:-$(($1 / 10))}"; fi; }

expedite() {
	on_exit sh -c "echo $(cat /sys/kernel/rcu_expedited) >/sys/kernel/rcu_expedited"
	echo 1 >/sys/kernel/rcu_expedited
}

[ -d /sys/kernel/debug/tracing ] || mount -t debugfs debugfs /sys/kernel/debug 2>/dev/null || :
on_exit unload
mark_log
