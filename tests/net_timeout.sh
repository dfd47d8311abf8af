#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# lab-long: it waits for timeouts
# lab-devices: net
# lab-timeout: 300
# lab-expect-dmesg: NETDEV WATCHDOG|transmit queue .* timed out
# lab-kmemleak: what is left of frames that got nowhere
#
# A transmit queue from which nothing comes back: a hub without another port keeps what it is sent. The
# queue is reset, by itself if the device can do that, and works when there is somebody to send to.

# shellcheck source=tests/lib/net.sh
. "$(dirname "$0")/lib/net.sh"
plan 14

on_exit give "$net0"

peer_gone() { [ ! -e $pci/$net1 ]; }
peer_back() { [ -e $pci/$net1/driver ]; }
timeouts() { [ "$(driver_log | grep -c "tx0: nothing came back")" -gt 0 ]; }
nothing_queued() { [ "$(cat "/sys/class/net/$nic/queues/tx-0/byte_queue_limits/inflight")" -eq 0 ]; }
stuck() {
	local name=$1 how=$2
	qmp device_del id=net1 >/dev/null
	wait_for 30 peer_gone || bail "the peer does not go"
	qmp netdev_del id=n1 >/dev/null || bail "its port does not go"
	mark_log
	# More than the queue has room for; nobody answers.
	ping -q -i 0.002 -c 3000 -W 1 -b 10.7.0.255 >/dev/null 2>&1 &
	local flood=$!
	check "$name: the queue is found stuck, and reset" wait_for 60 timeouts
	kill $flood 2>/dev/null
	wait $flood 2>/dev/null
	assert_match "$name: $how" "$how" "$(driver_log)"
	assert_ge "$name: it is counted" 1 "$(sed -n '/./p' "/sys/class/net/$nic/queues/tx-0/tx_timeout")"
	qmp netdev_add type=hubport id=n1 hubid=0 >/dev/null || bail "its port does not come back"
	qmp device_add driver=virtio-net-pci id=net1 netdev=n1 bus=pci.0 addr=0xf mac=52:54:00:12:34:08 romfile= >/dev/null
	wait_for 30 peer_back || bail "the peer does not come back"
	peer_nic=
	# shellcheck disable=SC2119 # the usual one
	make_peer || bail "there is no peer"
	ip -n peer neigh flush all
	check "$name: it works again" reachable
	check "$name: BQL does not wait for what was lost" wait_for 10 nothing_queued
	sound $net0
}

set_up
reachable || bail "the peer does not answer"
stuck "one queue" "tx0: nothing came back: reset"

# Without RING_RESET the whole device is.
unplug || bail "net0 does not go"
plug queue_reset=false || bail "net0 does not come"
take $net0 || bail "net0 is not taken"
link $net0 || bail "no link"
reachable || bail "the peer does not answer"
stuck "the device" "the device was reset, and works again"
