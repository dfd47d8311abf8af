#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# lab-long: memory that is short
# lab-devices: net-tap
# lab-append: swiotlb=1024,1,force
# lab-expect-dmesg: swiotlb buffer is full
# lab-timeout: 120
# lab-kmemleak: what is left of frames that got nowhere
#
# Buffers when memory is short: all that the card may reach is 2 MiB of bounce buffers, and a socket that nobody
# reads keeps what comes in, until the device has no buffer left. No frame comes then by which it could be noticed
# that there is memory again: a work item tries until there is, ten times a second.

# shellcheck source=tests/lib/net.sh
. "$(dirname "$0")/lib/net.sh"
plan 17

on_exit give "$net0"

# One that wants addresses instead of the machine's memory.
qmp device_del id=net0 >/dev/null
net0_gone() { [ ! -e $pci/$net0 ]; }
net0_back() { [ -e $pci/$net0/driver ]; }
wait_for 30 net0_gone || bail "net0 does not go"
qmp device_add driver=virtio-net-pci id=net0 netdev=n0 bus=pci.0 addr=7 mac=52:54:00:12:34:07 romfile= \
	disable-legacy=on iommu_platform=true >/dev/null
wait_for 30 net0_back || bail "net0 does not come"
set_up queue_pairs=1 ring_size=64
BLOB_MIB=4
blob

check "the peer answers" reachable
assert_eq "the card has asked for addresses" 1 $((($(field $net0 nic features) >> 33) & 1))
bounced() { cat /sys/kernel/debug/swiotlb/io_tlb_used; }
assert_ge "what it reaches are bounce buffers" 64 "$(bounced)"
check "what goes through them is what it was: out" checksum out
check "and in" checksum in

runs() { counter $net0 work/refill.runs; }
failed() { python3 /lab/scripts/guest/bin/net-queues qstats "$nic" | awk '$1 == "rx" && $3 == "alloc_fail" { print $4 }'; }
# Frames that are long enough for the stack to keep the buffer, to a socket that takes all and is not read.
python3 -c '
import socket, time
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
    s.setsockopt(socket.SOL_SOCKET, 33, 1 << 28)
    s.bind(("", 7009))
    time.sleep(1000)' &
keeper=$!
on_exit sh -c "kill $keeper 2>/dev/null || :"
listens() { ss -Hlun "sport = :7009" | grep -q .; }
wait_for 20 listens || bail "nobody listens"
flood() {
	in_peer timeout 20 python3 -c '
import socket, sys
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
    for _ in range(500):
        s.sendto(bytes(1400), (sys.argv[1], 7009))' $our_ip4
}
silent() {
	local before
	flood
	before=$(packets rx_packets)
	! in_peer ping -q -c 2 -W 1 $our_ip4 >/dev/null && [ "$(packets rx_packets)" -eq "$before" ]
}
tries() { [ "$(runs)" -ge $((before + 5)) ]; }

check "the device has no buffer left" wait_for 60 silent
start=${EPOCHREALTIME/./}
before=$(runs)
check "a work item tries, and tries again" wait_for 20 tries
tried=$(($(runs) - before))
# 100 ms after it was in vain; timers are exact to a few of them.
assert_le "not all the time" $(((${EPOCHREALTIME/./} - start) / 90000 + 2)) $tried
assert_ge "it is counted" 3 "$(failed)"
diag "$(bounced) of $(cat /sys/kernel/debug/swiotlb/io_tlb_nslabs) bounce buffers; $(runs) tries; $(failed) times without memory"
assert_eq "nothing is reset for that" "" "$(driver_log | grep -iE 'poison|broken|reset|out of use')"

kill $keeper
check "with memory again it works again, by itself" wait_for 60 reachable
check "what goes out is what it was" checksum out
check "and what comes in" checksum in
settle $net0
before=$(runs)
check "and again" reachable
sound $net0
assert_eq "the work item has no more to do" "$before" "$(runs)"
