#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# lab-devices: net-tap
# lab-timeout: 900
#
# Bound, unbound, loaded and unloaded, over and over, while iperf3 runs: nothing is left of it.

# shellcheck source=tests/lib/net.sh
. "$(dirname "$0")/lib/net.sh"
plan 6

rounds=${NET_ROUNDS:-25}
on_exit give "$net0"
set_up
reachable || bail "the peer does not answer"
serve || bail "no iperf3"
on_exit unserve

# Its connection outlives the card: it goes on where it comes back.
iperf3 -c $peer_ip4 -t 600 >/dev/null 2>&1 &
traffic=$!
on_exit kill $traffic

kb() { awk -v name="$1:" '$1 == name { print $2 }' /proc/meminfo; }
slab() { awk '/^(skbuff_head_cache|skbuff_small_head|skbuff_fclone_cache) / { sum += $2 } END { print sum + 0 }' /proc/slabinfo; }
once() {
	"$@" || failed=$((failed + 1))
	link $net0 && ping -q -c 1 -W 20 $peer_ip4 >/dev/null 2>&1 || failed=$((failed + 1))
}
rebind() { echo $net0 >/sys/bus/pci/drivers/$driver/unbind && echo $net0 >/sys/bus/pci/drivers/$driver/bind; }
reload() { modprobe -r $driver && modprobe $driver; }

failed=0
once rebind
once reload
before=$(kb MemAvailable)
for ((i = 0; i < rounds; i++)); do
	once rebind
	once reload
done
assert_eq "$rounds times bound and unbound, loaded and unloaded, under traffic" 0 $failed
kill $traffic
wait $traffic 2>/dev/null
after=$(kb MemAvailable)
diag "memory available: $before, then $after KiB; skbs: $(slab)"
assert_ge "no memory is lost" $((before - 16384)) "$after"
check "unloaded" modprobe -r $driver
assert_eq "no interrupt is left" "" "$(grep -F "virtio-$net0" /proc/interrupts)"
assert_eq "the kernel has nothing to say of pages or maps that are left" "" \
	"$(dmesg | grep -iE 'page_pool_release_retry|DMA-API|leaked|still in flight')"
check "loaded again" modprobe $driver
