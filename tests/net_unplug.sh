#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# lab-long: what happens to a card under load
# lab-devices: net-tap
# lab-timeout: 300
# lab-kmemleak: what is left of a device or a module that went
#
# A card that goes under load: unbound, its driver removed, pulled out. Nothing hangs, nothing is left,
# and it works when it comes back.

# shellcheck source=tests/lib/net.sh
. "$(dirname "$0")/lib/net.sh"
plan 14

on_exit give "$net0"
set_up
serve || bail "no iperf3"
on_exit unserve
check "the peer answers" reachable
sums=$(wrong_sums) || bail "it is not known how many checksums are wrong"

# A stream in each direction, for as long as there is a card.
begin() {
	iperf3 -c $peer_ip4 -t 60 -p 5201 --bidir >/dev/null 2>&1 &
	pid=$!
	wait_for 20 grows || bail "no traffic"
}
grows() {
	local before
	before=$(packets rx_packets)
	sleep 0.2
	[ "$(packets rx_packets)" -gt $((before + 50)) ]
}
over() {
	kill -9 $pid 2>/dev/null
	wait $pid 2>/dev/null
	unserve
	serve
}

begin
check "unbound under load" sh -c "echo $net0 >/sys/bus/pci/drivers/$driver/unbind"
over
check "bound again" sh -c "echo $net0 >/sys/bus/pci/drivers/$driver/bind"
link $net0 || bail "no link"
check "it works" reachable

begin
check "the driver removed under load" modprobe -r $driver
over
modprobe $driver || bail "the driver does not load"
link $net0 || bail "no link"
check "loaded again, it works" reachable

begin
check "pulled out under load" qmp device_del id=net0
gone() { [ ! -e $pci/$net0 ]; }
check "it is gone" wait_for 30 gone
over
assert_eq "no interrupt is left" "" "$(grep -F "virtio-$net0" /proc/interrupts)"
assert_eq "no file is left" "" "$(find "$debugfs" -name "*$net0*")"
check "plugged in again" plug
check "taken" take $net0
link $net0 || bail "no link"
check "it works again" reachable
check "no checksum was wrong, at either end" no_wrong_sums "$sums"
