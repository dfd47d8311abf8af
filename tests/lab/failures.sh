#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# lab-long: the lab itself
# lab-timeout: 300
#
# That the lab stops hard, soon and with a clear message when something goes wrong in it.

cd "$(dirname "$0")/../.." || exit
. scripts/guest/ktap.sh

plan 17
out=$(mktemp -d)
on_exit rm -rf "$out"
export LAB_NO_BUILD=1 LAB_CONSOLE=$out/console

# lab STATUS LAST-LINE NAME COMMAND: how it must end, and what it must say last.
ends_with() {
	local status=0
	scripts/lab "$4" >"$out/stdout" 2>"$out/stderr" </dev/null || status=$?
	assert_eq "$3: status" "$1" "$status"
	assert_match "$3: message" "$2" "$(tail -n 1 "$out/stderr")"
}

ends_with 125 "^lab: the guest's kernel panicked: sysrq triggered crash" "panic" 'echo c >/proc/sysrq-trigger'
check "panic: the console is shown" grep -q "Kernel panic" "$out/stderr"
check "panic: the console is kept" grep -q "Kernel panic" "$out/console"
LAB_TIMEOUT=40 ends_with 124 "^lab: no end after 40 s: the guest hangs, or LAB_TIMEOUT is too short" "hang" 'echo before; sleep 1000'
assert_eq "hang: output until then" before "$(cat "$out/stdout")"
LAB_PATIENCE=2 LAB_TIMEOUT=8 LAB_QEMU_ARGS=-S ends_with 124 "^lab: no end after 8 s: the guest hangs" "no word" true
check "no word: started once more" grep -q "not a word from the guest in 2 s: starting it once more" "$out/stderr"
LAB_QEMU_ARGS='-device no-such-device' ends_with 125 "^lab: QEMU failed with status 1" "bad QEMU argument" true
check "bad QEMU argument: QEMU's own message" grep -q "'no-such-device' is not a valid device model name" "$out/stderr"
ends_with 125 "^lab: the guest ended without a word" "reset" 'echo b >/proc/sysrq-trigger; sleep 10'
LAB_MEM=lots ends_with 1 "^lab: LAB_MEM is not a size such as 512M or 2G: lots" "bad LAB_MEM" true
