#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# lab-long: the demo
# lab-timeout: 300
# lab-alone: its curve of a network card is of a machine that does nothing else
#
# `make demo` from end to end, with few interrupts: its status, and its three reports in build/demo, which replace
# those of the last demo.

cd "$(dirname "$0")/../.." || exit
. scripts/guest/ktap.sh

plan 12
out=$(mktemp -d)
on_exit rm -rf "$out"
# It makes what it needs, as for its user.
unset LAB_NO_BUILD LAB_CONSOLE
kernel=${LAB_KERNEL:-debian}
reports=(build/demo/report.json build/demo/workqueues.json build/demo/net.json)

# of REPORT EXPRESSION: the value that a Python expression has, of the report d.
of() {
	# shellcheck disable=SC2016 # the inner shell's own
	bash -c '. scripts/lib.sh; buildroot_run "$@"' demo python3 -c '
import json, sys
d = json.load(open(sys.argv[1]))
print(eval(sys.argv[2]))
' "$@" 2>&1
}

status=0
DEMO_INTERRUPTS=50 scripts/demo >"$out/stdout" 2>"$out/stderr" </dev/null || status=$?
diag "$(cat "$out/stdout" "$out/stderr")"
assert_eq "status" 0 "$status"
for report in "${reports[@]}"; do
	check "$report is there, and of this run" test "$report" -nt "$out"
done
assert_eq "the books of the interrupts" True "$(of "${reports[0]}" 'd["reconciled"] and len(d["comparisons"]) > 100')"
assert_eq "each device raised so many, each way" "50 [150, 150, 150, 150, 150]" \
	"$(of "${reports[0]}" 'str(d["interrupts"]) + " " + str([s["interrupts"] for s in d["steps"]])')"
assert_eq "its devices" "0000:00:04.0 intx 0000:00:05.0 msi 0000:00:08.0 intx" \
	"$(of "${reports[0]}" '" ".join(sorted(d["address"] + " " + d["mode"] for d in d["devices"]))')"
assert_eq "its kernel" "$(cat "$(scripts/setup/kernel "$kernel")/release")" "$(of "${reports[0]}" 'd["kernel"]["release"]')"
assert_eq "the workqueues" True "$(of "${reports[1]}" 'd["ok"]')"
assert_eq "the network card" True "$(of "${reports[2]}" 'd["ok"]')"
assert_eq "which was looked at while it was at it" True \
	"$(of "${reports[2]}" 'all(sum(s["frames"] for s in row["samples"]) > row["frames"] / 2 and len(row["samples"]) > 1 for row in d["curve"])')"
check_fails "a number of interrupts that is none" env DEMO_INTERRUPTS=many scripts/demo
