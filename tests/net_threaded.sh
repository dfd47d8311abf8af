#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# lab-long: threads come and go while memory is short
# lab-devices: net-tap
# lab-append: swiotlb=1024,1,force
# lab-expect-dmesg: swiotlb buffer is full
# lab-timeout: 120
# lab-kmemleak: what is left of threads that went
#
# Threaded NAPI is switched on and off, all the time, while a work item looks for memory ten times a second, with
# polling off as long as it does. The core waits for instances to be idle, with a lock held without which none is
# enabled again: neither may wait for the other for ever. Memory is short as in net_refill.

# shellcheck source=tests/lib/net.sh
. "$(dirname "$0")/lib/net.sh"
plan 8

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
check "the peer answers" reachable

runs() { counter $net0 work/refill.runs; }
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
check "the device has no buffer left" wait_for 60 silent

# Each writes what it has done, so that one that hangs in the kernel, which nothing kills, is seen.
threaded=/sys/class/net/$nic/threaded
toggle() {
	local i
	for ((i = 1; i <= rounds; i++)); do
		echo 1 >"$threaded" && echo 0 >"$threaded" || return
		echo $i >"/run/toggled.$1"
	done
}
rounds=$(fewer 1000 100)
toggled() { [ "$(cat /run/toggled.1 /run/toggled.2 | xargs)" = "$rounds $rounds" ]; }
echo 0 | tee /run/toggled.1 >/run/toggled.2
before=$(runs)
toggle 1 &
toggle 2 &
if ! wait_for 120 toggled; then
	not_ok "threads come and go, $rounds times by each of two" "done: $(cat /run/toggled.[12] | xargs)"
	# All that follows would hang as well, and whatever undoes it.
	exit 1
fi
ok "threads come and go, $rounds times by each of two"
wait %2 %3 2>/dev/null
assert_ge "while the work item tried" $((before + 3)) "$(runs)"
diag "$(($(runs) - before)) tries"
tries() { [ "$(runs)" -ge $((before + 3)) ]; }
before=$(runs)
check "it goes on trying" wait_for 20 tries
kill $keeper
check "with memory again it works again, by itself" wait_for 60 reachable
sound $net0
