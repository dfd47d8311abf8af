#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# lab-long: the lab itself
# lab-timeout: 300
#
# What `scripts/lab COMMAND` promises: status, output as it comes, the checkout writable, our own
# QEMU arguments, the guest's monitor, and nothing left behind.

cd "$(dirname "$0")/../.." || exit
. scripts/guest/ktap.sh

plan 25
out=$(mktemp -d)
on_exit rm -rf "$out"
on_exit rm -f build/lab/from-guest
export LAB_NO_BUILD=1 LAB_CONSOLE=$out/console
lab() { scripts/lab "$@" </dev/null; }

status=0
# The first line and the last, with 3 s between: they must not come at once.
# shellcheck disable=SC2016 # for the guest's shell
LAB_DEVICES=edu2-intx+edu-msi lab '
	echo first
	sleep 3
	echo "on stderr" >/dev/stderr
	echo "kernel says" >/dev/kmsg
	echo "$LAB_KERNEL $LAB_DEVICES"
	cat /proc/sys/kernel/hostname
	pwd
	echo written >build/lab/from-guest
	lspci -d 1234:11e8 | cut -c 1-7
	cat /sys/bus/pci/devices/0000:00:04.0/irq /sys/bus/pci/devices/0000:00:08.0/irq
	qmp device_del id=edu2
	for i in $(seq 100); do [ -e /sys/bus/pci/devices/0000:00:05.0 ] || break; sleep 0.1; done
	[ -e /sys/bus/pci/devices/0000:00:05.0 ] || echo unplugged
	qmp device_add driver=edu id=edu2 addr=5 && sleep 1 && ls -d /sys/bus/pci/devices/0000:00:05.0
	echo freeze 2>/dev/null >/sys/power/state || echo "$(cat /sys/power/pm_async) not asleep"
	sleep 1000 &
	seq 100000
	exit 42
' 2>"$out/stderr" | while IFS= read -r line; do
	[ "$line" != first ] || echo "${EPOCHREALTIME/./}" >"$out/first"
	[ "$line" != "${LAB_KERNEL:-debian} edu2-intx+edu-msi" ] || echo "${EPOCHREALTIME/./}" >"$out/second"
	printf '%s\n' "$line"
done >"$out/stdout"
status=${PIPESTATUS[0]}
assert_eq "status of the command" 42 "$status"
assert_ge "output comes as it is written: microseconds between two lines 3 s apart" 2000000 \
	$(($(cat "$out/second") - $(cat "$out/first")))
assert_eq "stderr is stderr" "on stderr" "$(cat "$out/stderr")"
check_fails "the kernel's console is elsewhere" grep -q "kernel says" "$out/stdout"
assert_eq "the whole output" "$(seq 100000 | sha256sum)" "$(tail -n 100000 "$out/stdout" | sha256sum)"
assert_eq "host name and directory" "lab /lab" "$(sed -n '3,4p' "$out/stdout" | paste -sd ' ')"
assert_eq "the guest gives files back" written "$(cat build/lab/from-guest 2>&1)"
assert_eq "three edu" "00:04.0 00:05.0 00:08.0" "$(sed -n '5,7p' "$out/stdout" | paste -sd ' ')"
assert_eq "two edu share a line" "$(sed -n 8p "$out/stdout")" "$(sed -n 9p "$out/stdout")"
check "a device is unplugged from inside" grep -qx unplugged "$out/stdout"
check "and plugged in" grep -qx /sys/bus/pci/devices/0000:00:05.0 "$out/stdout"

check "it does not suspend, and its devices are asked in order" grep -qx "0 not asleep" "$out/stdout"

# shellcheck disable=SC2016 # for the guest's shell
assert_eq "a script on stdin, LAB_CPUS, LAB_QEMU_ARGS, LAB_APPEND" "1 00:09.0 fixture" "$(
	echo 'echo $(nproc) $(lspci -d 1234:11e8 | cut -c 1-7) $(grep -o "fixture" /proc/cmdline)' |
		LAB_CPUS=1 LAB_QEMU_ARGS='-device edu,addr=9' LAB_APPEND=fixture scripts/lab
)"

assert_eq "of several labs at once, each has its own" "1 2" "$(
	LAB_CONSOLE=$out/console1 lab 'sleep 1; echo 1' >"$out/one" &
	LAB_CONSOLE=$out/console2 lab 'sleep 1; echo 2' >"$out/two"
	wait
	paste -d ' ' "$out/one" "$out/two"
)"

# make has a status of its own, and says the command's.
status=0
# shellcheck disable=SC2016 # for the guest's shell
make lab CMD='echo $(lspci -d 1234:11e8 | wc -l) edu, $LAB_DEVICES; exit 42' >"$out/make" 2>"$out/make.err" </dev/null || status=$?
assert_eq "make lab: the command as it was written, in a guest with devices" "3 edu, edu2-intx+edu-msi+rng" "$(cat "$out/make")"
assert_eq "it fails as make does" 2 "$status"
assert_match "with the command's own status" "Error 42" "$(cat "$out/make.err")"

# The machines must end with their lab, whatever ends it. Other labs may be at work at the same time.
token=lab.token=$$
machines() { pgrep -f "[l]ab.run=.*$token" >/dev/null; }
gone() { ! machines; }
export LAB_APPEND=$token
for signal in INT TERM KILL; do
	# Without job control, what is started in the background ignores SIGINT.
	set -m
	scripts/lab 'sleep 1000' >/dev/null 2>&1 </dev/null &
	set +m
	pid=$!
	check "there is a machine to end by SIG$signal" wait_for 30 machines
	kill -"$signal" "$pid"
	wait "$pid" 2>/dev/null
	check "nothing is left after SIG$signal" wait_for 10 gone
done
lab 'while :; do echo y; done' 2>/dev/null | head -n 2 >"$out/head"
assert_eq "a reader that goes away" "y y" "$(paste -sd ' ' "$out/head")"
check "nothing is left then" wait_for 10 gone
