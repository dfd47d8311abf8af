#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# lab-devices: edu2-intx+edu-msi
# lab-timeout: 180
# lab-kmemleak: what is left of a device or a module that went
#
# Unbind, hot-unplug and rmmod while interrupts, by message and on a line that is shared, all their deferrals, a storm,
# DMA and readers are under way. The other user of the line goes on. Whoever waits for the device is told; nothing runs
# late; nothing stays behind. What would be wrong shows in the kernel's log, which the test's runner reads.

# shellcheck source=tests/lib/edu.sh
. "$(dirname "$0")/lib/edu.sh"
plan 55

fire_pids=()
# Keeps a device as busy as it gets, until it is gone. Times are taken from before the first one is under fire to
# after the last one: that patches code, which QEMU can't stand while interrupts run through it (docs/design.md).
fire() {
	local device=$1 files=$debugfs/$1
	echo all >"$files/defer"
	(while [ -e "$files" ] && echo "100000 burst" >"$files/trigger"; do :; done) 2>/dev/null &
	fire_pids+=($!)
	(while [ -e "$files" ] && echo "12" >"$files/factorial"; do :; done) 2>/dev/null &
	fire_pids+=($!)
	(while [ -e "$files" ] && echo "roundtrip 4095" >"$files/dma"; do :; done) 2>/dev/null &
	fire_pids+=($!)
	(while cat "$files/stats" "$files"/*/wait_ns; do :; done) >/dev/null 2>&1 &
	fire_pids+=($!)
}
cease() {
	local pid
	for pid in "${fire_pids[@]}"; do
		wait_for 20 sh -c "! kill -0 $pid 2>/dev/null" || {
			diag "one of ${fire_pids[*]} is left:" "$(ps -o pid,ppid,stat,wchan:30,time,args -p "$pid" --ppid "$pid")"
			diag "$(cat "/proc/$pid/stack" /proc/interrupts)"
			return 1
		}
	done
	wait "${fire_pids[@]}" 2>/dev/null
	fire_pids=()
}
# Of all devices: that which is not under fire keeps them being taken when the other goes.
timing_on() {
	local device
	for device in $edu0 $edu1 $edu2; do echo 1 >"$debugfs/$device/timing"; done
}
busy() { [ "$(counter "$1" tasklet.runs)" -gt 200 ]; }
gone() { [ ! -e "$debugfs/$1" ]; }
in_interrupts() { grep -c "$driver" /proc/interrupts || :; }
alive() {
	wait_for 10 test -e "$debugfs/$1" && timeout 30 sh -c "echo '20 paced' >$debugfs/$1/trigger"
}

# Each time a driver enables a device counts, and so does each time one is done with it.
unload
idle=$(cat $pci/$edu2/enable)
load irq_mode=auto
assert_eq "a device that is bound is enabled once more" $((idle + 1)) "$(cat $pci/$edu2/enable)"
echo $edu2 >"/sys/bus/pci/drivers/$driver/unbind"
assert_eq "and when it is unbound not any more" "$idle" "$(cat $pci/$edu2/enable)"
echo $edu2 >"/sys/bus/pci/drivers/$driver/bind"
assert_eq "as often as it is bound" $((idle + 1)) "$(cat $pci/$edu2/enable)"

# $1 unbinds $2 under fire, several times.
for device in $edu0 $edu2; do
	load irq_mode=auto
	timing_on
	fire "$device"
	check "$device is under fire" wait_for 20 busy "$device"
	check "unbind returns" timeout 60 sh -c "echo $device >/sys/bus/pci/drivers/$driver/unbind"
	check "its files are gone" gone "$device"
	check "those who used them have ended" cease
	check "bind brings it back" sh -c "echo $device >/sys/bus/pci/drivers/$driver/bind"
	check "and it works" alive "$device"
done

# A storm at the same time, under INTx: the pin is masked when the device goes.
load irq_mode=intx
timing_on
fire $edu0
echo "noack 10000" >"$(edu $edu0 storm)"
check "a storm is contained" wait_for 20 sh -c "grep -q 'state masked' $(edu $edu0 storm)"
check "unbind in the middle of it returns" timeout 60 sh -c "echo $edu0 >/sys/bus/pci/drivers/$driver/unbind"
check "those who used it have ended" cease
check "the other user of the line goes on" alive $edu1
check "bind brings it back" sh -c "echo $edu0 >/sys/bus/pci/drivers/$driver/bind"
check "with its pin not masked any more" alive $edu0

# The device itself goes.
load irq_mode=auto
timing_on
fire $edu2
check "the device to unplug is under fire" wait_for 20 busy $edu2
qmp device_del id=edu2
check "it goes" wait_for 30 test ! -e $pci/$edu2
check "those who used it have ended" cease
check "its files are gone" gone $edu2
qmp device_add driver=edu id=edu2 addr=5
check "another in its place is bound, and works" alive $edu2

# The module goes, with all devices under fire, without times: the last of them to go would end their being taken.
load irq_mode=auto
fire $edu0
fire $edu1
fire $edu2
wait_for 20 busy $edu2
check "rmmod returns" timeout 60 modprobe -r $driver
check "those who used it have ended" cease
assert_eq "no handler is left in /proc/interrupts" 0 "$(in_interrupts)"

# All of it on the INTx line that two devices share, of which one goes.
work=$(mktemp -d)
on_exit rm -rf "$work"
handled() { echo $(($(counter "$1" hardirq.handled) + $(counter "$1" hardirq.wake_thread))); }
# Has a device interrupt, one after the other, until `no_more`. A trigger that gives up on a busy line is none of this.
beside() {
	touch "$work/beside"
	(while [ -e "$work/beside" ]; do echo "20 paced" >"$debugfs/$1/trigger"; done) 2>/dev/null &
	beside_pid=$!
}
no_more() {
	rm "$work/beside"
	wait "$beside_pid" || :
}
beyond() { [ "$(handled "$1")" -gt "$2" ]; }
counts_on() { wait_for 20 beyond "$1" $(($(handled "$1") + 100)); }
one_line() { [ "$(irq_of $edu0)" = "$(irq_of $edu1)" ] && [ "$(field $edu0 irq mode) $(field $edu1 irq mode)" = "intx intx" ]; }

load irq_mode=intx
timing_on
check "two devices share a line" one_line
beside $edu1
fire $edu0
check "one of them is under fire" wait_for 20 busy $edu0
check "and the other has its interrupts, too" counts_on $edu1
check "unbind returns" timeout 60 sh -c "echo $edu0 >/sys/bus/pci/drivers/$driver/unbind"
check "the files of the one are gone" gone $edu0
check "those who used them have ended" cease
check "the other goes on" counts_on $edu1
check "bind brings it back" sh -c "echo $edu0 >/sys/bus/pci/drivers/$driver/bind"
check "and it works" alive $edu0

fire $edu0
check "it is under fire again" wait_for 20 busy $edu0
qmp device_del id=edu0
check "it is unplugged" wait_for 30 test ! -e $pci/$edu0
check "its files are gone" gone $edu0
check "those who used them have ended" cease
check "the other goes on" counts_on $edu1
qmp device_add driver=edu id=edu0 addr=4
check "another in its place is bound, and works" alive $edu0
check "on the line that it shares" one_line
no_more
check "and the other has lost nothing" alive $edu1

# A transfer goes on when its device is left, and raises an interrupt at its end. That must not be found on the line by
# whoever enables the device next, before he can see to it: the other user would be called, for nothing, time and again.
load irq_mode=intx
(while echo "roundtrip 4095" >"$(edu $edu0 dma)"; do :; done) 2>/dev/null &
fire_pids=($!)
check "transfers are under way" wait_for 10 grep -q roundtrip "$(edu $edu0 dma)"
check "unbind in the middle of one returns" timeout 60 sh -c "echo $edu0 >/sys/bus/pci/drivers/$driver/unbind"
check "who waited for it is told" cease
none=$(counter $edu1 hardirq.none)
check "bind brings it back" sh -c "echo $edu0 >/sys/bus/pci/drivers/$driver/bind"
assert_eq "and the other was not called in vain" "$none" "$(counter $edu1 hardirq.none)"

load irq_mode=intx
fire $edu0
fire $edu1
fire $edu2
check "three devices are under fire" wait_for 20 busy $edu0
check "rmmod returns" timeout 60 modprobe -r $driver
check "those who used it have ended" cease
assert_eq "no handler is left in /proc/interrupts" 0 "$(in_interrupts)"
