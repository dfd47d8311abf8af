#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# lab-devices: net-tap
# lab-timeout: 400
#
# rust_napi_net as a network card: found, up and down, pinged by both versions of IP at all sorts of sizes
# with the data compared, TCP in both directions, its statistics, its link, its MTU and its files.

# shellcheck source=tests/lib/net.sh
. "$(dirname "$0")/lib/net.sh"
plan 41

on_exit give "$net0"
set_up
assert_eq "the address is the device's" 52:54:00:12:34:07 "$(cat "/sys/class/net/$nic/address")"
assert_eq "it is driven by ours" $driver "$(basename "$(readlink "/sys/class/net/$nic/device/driver")")"
assert_eq "the link is up" 1 "$(cat "/sys/class/net/$nic/carrier")"
check "the peer answers" reachable
sums=$(wrong_sums) || bail "it is not known how many checksums are wrong"

# ping_sizes NAME ADDRESS OPTION...
ping_sizes() {
	local name=$1 said
	shift
	if said=$(python3 /lab/scripts/guest/bin/ping-sizes "$@" 2>&1); then
		ok "$name"
		diag "$name: $said"
	else
		not_ok "$name" "$said"
	fi
}
# Every size about where buffers begin and end, and where a frame becomes two; then steps to the end.
for ip in $peer_ip4 $peer_ip6; do
	ping_sizes "$ip: pings of 0 to 300 bytes" "$ip" --most 300 --step "$(fewer 1 13)"
	ping_sizes "$ip: pings of 1400 to 1560 bytes" "$ip" --least 1400 --most 1560 --step "$(fewer 1 7)"
	ping_sizes "$ip: pings to 65507 bytes" "$ip" --least 301 --most 65507 --step "$(fewer 487 7247)"
done

check "TCP out, iperf3" serve
seconds=$(fewer 3 1)
traffic "TCP out" -t "$seconds"
traffic "TCP in" -t "$seconds" -R
traffic "TCP in both directions at once" -t "$seconds" --bidir
traffic "UDP out" -t "$seconds" -u -b 50M
STREAM_IP=$peer_ip6 traffic "UDP in, by IPv6" -t "$seconds" -u -b 50M -R
traffic "8 streams" -t "$seconds" -P 8
unserve
BLOB_MIB=$(fewer 16 4)
blob
# Where nobody listens.
check_fails "a transfer that does not begin comes to an end" checksum in 127.0.0.1
check "$BLOB_MIB MiB out are what they were" checksum out
check "$BLOB_MIB MiB in are what they were" checksum in
check "$BLOB_MIB MiB out, by IPv6" checksum out $peer_ip6
check "$BLOB_MIB MiB in, by IPv6" checksum in $peer_ip6

# Statistics: what one side counts, the other does, too.
settle "$net0"
assert_eq "no errors, none dropped" "" "$(errors)"
check "no checksum was wrong, at either end" no_wrong_sums "$sums"
assert_ge "frames came in" 1000 "$(packets rx_packets)"
assert_ge "bytes went out" 10000000 "$(packets tx_bytes)"
# Which of the queues has how many of them is the flows' doing.
all_polled() { [ "$(packets rx_packets)" = "$(counters $net0 napi/rx items)" ]; }
check "all of them were polled" wait_for 10 all_polled
assert_ge "more than one at a time" $(($(counters $net0 napi/rx runs) + 1)) "$(packets rx_packets)"
assert_le "with no more interrupts than that" "$(packets rx_packets)" "$(counters $net0 hardirq/rx runs)"

# Up and down, at rest and under load.
check "down" ip link set "$nic" down
check "up" link $net0
check "it answers" reachable
serve
stream -t 6 >/dev/null 2>&1 &
load_pid=$!
status=0
for _ in 1 2 3 4 5; do
	ip link set "$nic" down && link $net0 || status=1
done
assert_eq "5 times down and up under load" 0 $status
kill $load_pid 2>/dev/null
wait $load_pid
unserve
check "it answers after that" reachable

# The link, as the device says.
carrier() { [ "$(cat "/sys/class/net/$nic/carrier")" -eq "$1" ]; }
check "the device takes the link down" qmp set_link name=net0 up=false
check "it is seen" wait_for 10 carrier 0
check "and up, and that is seen" sh -c "qmp set_link name=net0 up=true"
wait_for 10 carrier 1 || bail "the link stays down"
check "it answers again" reachable
check_fails "no MTU below IPv4's" ip link set "$nic" mtu 67
sound $net0
