#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# lab-timeout: 300
# lab-alone: it measures
#
# From `scripts/lab` to the first output of its command in 5 s, on 2 CPUs under TCG, everything
# being made. The best of three counts. On a machine with more to do than it has CPUs the clock
# says nothing about the lab; there the CPU time that the guest took until then counts.

cd "$(dirname "$0")/../.." || exit
. scripts/guest/ktap.sh

plan 1
out=$(mktemp -d)
on_exit rm -rf "$out"
token=lab.token=$$
export LAB_NO_BUILD=1 LAB_CONSOLE=$out/console LAB_KERNEL=debian LAB_ACCEL=tcg LAB_CPUS=2 LAB_APPEND=$token

# Milliseconds of CPU time that the machine has taken.
cpu_ms() {
	local pid fields
	pid=$(pgrep -f "[l]ab.run=.*$token") || return 0
	read -r -a fields <"/proc/$pid/stat"
	echo $(((fields[13] + fields[14]) * 1000 / $(getconf CLK_TCK)))
}
busy() { awk -v cpus="$(nproc)" '{ exit !($1 > cpus + 1) }' /proc/loadavg; }

best=
for _ in 1 2 3; do
	clock="time"
	start=${EPOCHREALTIME/./}
	scripts/lab 'echo here; sleep 0.5' </dev/null 2>"$out/stderr" | {
		read -r _
		echo "${EPOCHREALTIME/./}" >"$out/end"
		cpu_ms >"$out/cpu"
		cat >/dev/null
	}
	ms=$((($(cat "$out/end") - start) / 1000))
	cpu=$(cat "$out/cpu")
	diag "boot to command: $ms ms, CPU time $cpu ms, load $(cut -d ' ' -f 1 /proc/loadavg)"
	if [ "$ms" -gt 5000 ] && [ -n "$cpu" ] && busy; then
		clock="CPU time, for this machine is busy,"
		ms=$cpu
	fi
	if [ -z "$best" ] || [ "$ms" -lt "$best" ]; then best=$ms; fi
	[ "$best" -gt 5000 ] || break
done
diag "taken: $clock of $best ms"
assert_le "milliseconds from the start of the lab to the command" 5000 "$best"
