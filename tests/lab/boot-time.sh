#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# From `scripts/lab` to the first output of its command in 5 s, on 2 CPUs under TCG, everything
# being made. The best of three: other work on this machine is not what is measured.

cd "$(dirname "$0")/../.." || exit
. scripts/guest/ktap.sh

plan 1
out=$(mktemp -d)
on_exit rm -rf "$out"
export LAB_NO_BUILD=1 LAB_CONSOLE=$out/console LAB_KERNEL=debian LAB_ACCEL=tcg LAB_CPUS=2

best=
for _ in 1 2 3; do
	start=${EPOCHREALTIME/./}
	scripts/lab 'echo here' </dev/null 2>"$out/stderr" | {
		read -r _
		echo "${EPOCHREALTIME/./}" >"$out/end"
		cat >/dev/null
	}
	ms=$((($(cat "$out/end") - start) / 1000))
	diag "boot to command: $ms ms"
	if [ -z "$best" ] || [ "$ms" -lt "$best" ]; then best=$ms; fi
	[ "$best" -gt 5000 ] || break
done
assert_le "milliseconds from the start of the lab to the command" 5000 "$best"
