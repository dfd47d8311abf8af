#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# lab-long: the sample
# lab-devices: net-tap
# lab-timeout: 200
# lab-kmemleak: what is left of a device or a module that went
#
# The smallest network driver, samples/rust_net_minimal.rs: it carries what a network card carries.

# shellcheck source=tests/lib/net.sh
. "$(dirname "$0")/lib/net.sh"
plan 18

# A sample is not where modprobe looks.
driver=rust_net_minimal
# shellcheck disable=SC2034 # driver.sh uses it
debugfs=/sys/kernel/debug/$driver
unload() {
	[ ! -e "/sys/module/$driver" ] || rmmod $driver
	[ ! -e /sys/module/irqkit ] || modprobe -r irqkit
}
load() {
	local sample
	sample=$(dirname "$(readlink -f "$(modinfo -n irqkit)")")/samples/$driver.ko

	unload
	modprobe irqkit || bail "irqkit does not load"
	insmod "$sample" || bail "the sample does not load"
}

on_exit give $net0
set_up
assert_eq "the address is the device's" 52:54:00:12:34:07 "$(cat "/sys/class/net/$nic/address")"
assert_eq "it is driven by the sample" $driver "$(basename "$(readlink "/sys/class/net/$nic/device/driver")")"
check "the peer answers" reachable
for ip in $peer_ip4 $peer_ip6; do
	check "$ip: pings to 65507 bytes" python3 /lab/scripts/guest/bin/ping-sizes "$ip" --most 65507 --step 1471
done

check "iperf3" serve
traffic "TCP out" -t 2
traffic "TCP in" -t 2 -R
unserve
BLOB_MIB=4
blob
check "4 MiB out are what they were" checksum out
check "4 MiB in are what they were" checksum in

settle $net0
assert_eq "no errors, none dropped" "" "$(errors)"
assert_ge "frames were polled" 1000 "$(counter $net0 napi/rx.items)"
same() { [ "$(packets rx_packets)" = "$(counter $net0 napi/rx.items)" ]; }
check "as many as came" wait_for 10 same
check "down" ip link set "$nic" down
check "up" link $net0
check "it answers after that" reachable
sound $net0
