#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# lab-long: the lab itself
# lab-timeout: 300
#
# That tests/run goes red when it should, and only then: the fixtures beside this file, each with a
# fault of its own.

cd "$(dirname "$0")/../.." || exit
. scripts/guest/ktap.sh

plan 21
out=$(mktemp -d)
on_exit rm -rf "$out"
export TEST_DIR=tests/lab/fixtures TEST_LOGS=runner LAB_NO_BUILD=1

status=0
tests/run -k '^guest/' >"$out/stdout" 2>"$out/stderr" || status=$?
sed 's/^/# /' "$out/stderr"
assert_ne "a run with failures fails" 0 "$status"
assert_eq "last line" "21 passed, 12 failed, 1 skipped" "$(tail -n 1 "$out/stdout")"

shows() { grep -q -- "$@" "$out/stderr"; }
check "a good test passes" shows '^ok      guest/passes: 2 passed, 1 skipped'
check "a failed check, with both values" shows 'expected: 1'
check "a skip that is not allowed" shows 'not ok: is required: skipped, but required here: no wish to'
check "no plan" shows 'not ok: no plan'
check "a truncated test" shows 'not ok: cut short: 1 of 2'
check "a splat in the kernel's log" shows 'not ok: kernel log: BUG: fixture'
check "one after a file is over, with the next" shows 'not ok: kernel log: WARNING: fixture, between'
check "one after the last file" shows '^FAILED  guest/end: 0 passed, 1 failed'
check "which is shown" shows 'not ok: kernel log: WARNING: fixture, late'
check "a log that was overwritten" shows "not ok: kernel log: the kernel's log was overwritten"
check "a taint without a splat" shows 'not ok: kernel log: the kernel is tainted since: W (warning)'
check "but not that of a warning that is expected" shows '^ok      guest/expected_taint: 1 passed'
check "a kmemleak that does not look, or finds something, is told" shows 'guest/blind: 10 passed'
check "a test out of time" shows 'not ok: out of time'
check "a guest that says nothing any more" shows 'not ok: the guest hangs: it says nothing of the time being over'
check "where a test is that takes long" \
	shows '^…       guest/stands_still: [0-9]* s of at most 5, 0 of 1 results, at its last word'
check "a panic" shows "not ok: the guest ended: the guest's kernel panicked: sysrq triggered crash"

status=0
tests/run -k '^guest/passes$' >"$out/stdout" 2>"$out/stderr" || status=$?
assert_eq "a run without failures succeeds" 0 "$status"
assert_eq "its last line" "2 passed, 0 failed, 1 skipped" "$(tail -n 1 "$out/stdout")"
