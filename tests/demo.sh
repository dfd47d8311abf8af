#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# lab-devices: edu2-intx+edu-msi
# lab-timeout: 240
#
# The program behind `make demo`, and the report it writes. Whether it would see books that don't
# agree is asked as well.

# shellcheck source=tests/lib/edu.sh
. "$(dirname "$0")/lib/edu.sh"
plan 10

# A copy in the guest's own memory: what the checkout's file server puts there behind the emulated
# CPU's back must not be executed (docs/design.md).
demo=$(mktemp)
on_exit rm -f "$demo"
cp /lab/build/tools/release/irq-demo "$demo" || bail "the demo is not built: run scripts/setup/tools"
chmod +x "$demo"
report=$(mktemp)
on_exit rm -f "$report"
on_exit sh -c "echo 1 >$pci/$edu0/msi_bus; echo 1 >$pci/$edu1/msi_bus"

check "the demo runs, and its books agree" "$demo" --interrupts 100 --intx $edu0 --intx $edu1 --msi $edu2 --report "$report"
ask() { python3 -c "import json; report = json.load(open('$report')); print($1)"; }
assert_eq "the report says so" True "$(ask "report['reconciled']")"
assert_eq "and its schema" 1 "$(ask "report['schema']")"
assert_eq "both sides of each comparison are in it" True \
	"$(ask "all(c['left'] == c['right'] and c['equal'] for c in report['comparisons']) and len(report['comparisons']) > 100")"
assert_eq "all counters of all paths" "3 14 True" \
	"$(ask "len(report['devices']), sum(len(d['paths']) for d in report['devices']), all(len(p['counters']) >= 7 for d in report['devices'] for p in d['paths'])" | tr -d '(),')"
assert_eq "histograms that add up" True \
	"$(ask "all(sum(b['count'] for b in p[h]['buckets']) == p[h]['count'] and (p[h]['count'] == p['counters']['runs'] or (p['name'], h) == ('hardirq', 'wait_ns')) for d in report['devices'] for p in d['paths'] for h in ('wait_ns', 'run_ns'))")"

assert_eq "those of delayed work too" "work/storm work/storm" \
	"$(ask "' '.join(p['name'] for d in report['devices'] for p in d['paths'] if 'late_ns' in p)")"

# A device that the demo does not know of raises interrupts on the line of one that it does: the books
# of that line are off. It pauses, so that work comes to rest and the demo gets to its end.
(while sleep 0.05; do echo "1 paced" >"$debugfs/$edu1/trigger"; done) 2>/dev/null &
meddler=$!
on_exit sh -c "kill $meddler 2>/dev/null || :"
rm -f "$report"
status=0
"$demo" --interrupts 400 --intx $edu0 --msi $edu2 --report "$report" >/dev/null 2>&1 || status=$?
assert_eq "the demo fails when a count is not right" 1 "$status"
assert_eq "and the report says so" False "$(ask "report['reconciled']")"
kill $meddler

output=$("$demo" --intx 0000:00:1f.7 2>&1) && output="it ran"
assert_match "a device that is not there gets a clear error" "is there a device 0000:00:1f.7" "$output"
