#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# lab-long: over and over under iperf3
# lab-devices: net-tap
# lab-timeout: 900
# lab-kmemleak: what is left of a device or a module that went
#
# A card whose memory is mapped by the platform's DMA, bound, unbound, loaded and unloaded, over and over, while iperf3
# runs both ways: nothing is left of it, no page, no skb, no memory, no interrupt, and on the debug kernel no map.
# 200 times in a long run. Then bound and unbound with less going on: not a page is left each time, or on the debug
# kernel no map. (There pages can't be told: it keeps some 20 each time, with the kernel's own driver as well.)

# shellcheck source=tests/lib/net.sh
. "$(dirname "$0")/lib/net.sh"
dma=/sys/kernel/debug/dma-api
dma_complaint='DMA-API: .*(:|out of memory)'
plan "$([ -e $dma ] && echo 17 || echo 13)"

rounds=$(fewer 200 5)
expedite
on_exit replug
unplug || bail "net0 does not go"
plug mq=true vectors=10 disable-legacy=on iommu_platform=true || bail "net0 does not come"
on_exit give "$net0"
set_up
# VIRTIO_F_ACCESS_PLATFORM
platform() { (($(field $net0 nic features) >> 33 & 1)); }
check "the card has its memory mapped by the platform's DMA" platform

# What the debug kernel knows to be mapped, by whom. It says of itself when it knows that no more.
maps() { grep -cF " $net0 " $dma/dump; }
unmapped() { [ "$(maps)" -eq 0 ]; }
no_maps() {
	[ -e $dma ] || return 0
	check "$1: no map is left" unmapped
	assert_eq "$1: maps were looked at to the end" N "$(cat $dma/disabled)"
}
if [ -e $dma ]; then
	# A ring full of buffers has one of each page at least, and there is more than one of them.
	assert_ge "maps are seen while it is bound" 100 "$(maps)"
fi

reachable || bail "the peer does not answer"
serve || bail "no iperf3"
on_exit unserve

# A connection that outlives the card goes on within a second or so when it is back; iperf3 may give up when it
# can't send, and begins anew then.
for where in "" in_peer; do $where sysctl -qw net.ipv4.tcp_rto_max_ms=1000; done
begin() {
	while sleep 0.2; do iperf3 -c $peer_ip4 -t 3600 --bidir --connect-timeout 2000 >/dev/null 2>&1; done &
	traffic=$!
	wait_for 60 moves
}
over() {
	kill $traffic
	wait $traffic 2>/dev/null
	pkill -x iperf3 || :
	unserve
}
on_exit sh -c "pkill -x iperf3 || :"

kb() { awk -v name="$1:" '$1 == name { print $2 }' /proc/meminfo; }
# How many there are of a slab cache: not those that the allocator keeps, nor those that a CPU has been given to
# free, which it does when it receives.
skbs() {
	local cache cpu
	for ((cpu = 0; cpu < $(nproc); cpu++)); do taskset -c $cpu ping -q -c 1 127.0.0.1 >/dev/null; done
	for cache in skbuff_head_cache skbuff_fclone_cache skbuff_small_head; do
		echo 1 >/sys/kernel/slab/$cache/shrink
		cat /sys/kernel/slab/$cache/objects
	done | awk '{ print $1 }'
}
# Page pools whose owner is gone, but not their pages.
orphans() { python3 /lab/scripts/guest/bin/net-queues pools | grep gone; }
no_orphans() { ! orphans; }

once() {
	"$1" && link $net0 && goes_on || failed="$failed $1"
}
# A server takes no other client while it waits for one that died, for two minutes: then a new one must do.
goes_on() {
	wait_for 20 moves && return
	diag "iperf3 does not go on: another server"
	unserve
	wait_for 20 unserved && serve && wait_for 60 moves
}
unserved() { ! in_peer ss -Hltn "sport = :5201" | grep -q .; }
# Its counters begin anew with the card. Acknowledgements alone would take long for it.
moves() { [ "$(packets tx_bytes)" -gt 500000 ] && [ "$(packets rx_bytes)" -gt 500000 ]; }
rebind() { echo $net0 >/sys/bus/pci/drivers/$driver/unbind && echo $net0 >/sys/bus/pci/drivers/$driver/bind; }
reload() { modprobe -r $driver && modprobe $driver; }

# With nothing bound and no traffic, after all that is made but once has been made.
failed=
at "iperf3 begins"
begin
at "bound and loaded once"
once rebind
once reload
over
modprobe -r $driver || bail "not unloaded"
at "what is in use before"
wait_for 30 no_orphans || bail "pages are left before it begins"
mapfile -t before < <(skbs)
memory=$(kb MemAvailable)

if ! modprobe $driver || ! link $net0 || ! reachable || ! serve; then bail "not loaded"; fi
begin
start=$EPOCHREALTIME
for ((i = 0; i < rounds; i++)); do
	at "round $((i + 1)) of $rounds"
	once rebind
	once reload
done
diag "$rounds rounds took $(((${EPOCHREALTIME/./} - ${start/./}) / 1000000)) s"
assert_eq "$rounds times bound and unbound, loaded and unloaded; iperf3 goes on each time" "" "$failed"
over
settle $net0
check "the books balance" balanced $net0
check "unloaded" modprobe -r $driver

# A round is two cycles, each of which would leave one at least. NAPI keeps up to 128 heads a CPU in stock: of the heads
# those of a long run only can be seen; those of the card's buffers hold pages of a pool, which are looked for below.
few_skbs() {
	local stock=$((128 * $(nproc))) i
	local after
	mapfile -t after < <(skbs)
	for i in 0 1 2; do
		[ "${after[i]}" -lt $((before[i] + (i == 0 ? stock + rounds / 2 : rounds))) ] || return
	done
}
# Connections that were cut off have some until they are given up.
check "no skb is left" wait_for 120 few_skbs
diag "skbs (heads, for TCP to send, small buffers): ${before[*]}, then $(skbs | paste -sd " ")"
check "no page is left of a pool" wait_for 30 no_orphans
# What connections that were cut off have in their queues comes back when they are given up.
enough() {
	echo 3 >/proc/sys/vm/drop_caches
	[ "$(kb MemAvailable)" -ge $((memory - 16384)) ]
}
check "no memory is lost" wait_for 120 enough
diag "memory available: $memory, then $(kb MemAvailable) KiB"
assert_eq "no interrupt is left" "" "$(grep -F "virtio-$net0" /proc/interrupts)"
assert_eq "the kernel has nothing to say of pages or maps that are left" "" \
	"$(dmesg | grep -iE "page_pool_release_retry|$dma_complaint|leaked|still in flight")"
no_maps "unloaded"
check "loaded again" modprobe $driver

# --- Page by page ---

take $net0 || bail "net0 is not taken"

# Pages that are free, also in the lists that each CPU has of them, and those of slabs, which come and go as they
# like. That tells some 20 pages less now and then, for what is being run; the most of a few is true to a few.
pages() {
	echo 3 >/proc/sys/vm/drop_caches
	cat /proc/sys/vm/stat_refresh
	awk '
		FILENAME == "/proc/zoneinfo" { if ($1 == "count:") sum += $2; next }
		$1 ~ /^nr_(free_pages|slab_reclaimable|slab_unreclaimable)$/ { sum += $2 }
		END { print sum }' /proc/zoneinfo /proc/vmstat
}
most_pages() { for _ in 1 2 3 4 5; do pages; done | sort -n | tail -n 1; }

# Bound, used and unbound.
cycle() {
	echo $net0 >/sys/bus/pci/drivers/$driver/bind && link $net0 && ping -q -c 3 -i 0.01 $peer_ip4 >/dev/null &&
		echo $net0 >/sys/bus/pci/drivers/$driver/unbind || failed="$failed $1"
}
failed=
cycles=20
[ ! -e $dma ] || cycles=$(fewer 200 5)
echo $net0 >/sys/bus/pci/drivers/$driver/unbind
# The first ones find what is made but once.
for ((i = 0; i < 3; i++)); do cycle warm; done
start=$(most_pages)
for ((i = 0; i < cycles; i++)); do
	at "cycle $((i + 1)) of $cycles"
	cycle "$i"
done
assert_eq "$cycles times bound, used and unbound" "" "$failed"
if [ -e $dma ]; then
	no_maps "unbound"
else
	# One of each time would be as many. Some are let go by RCU a little later.
	few_pages() { [ $((start - $(pages))) -lt "$cycles" ]; }
	check "not a page is left of each time" wait_for 30 few_pages
fi
diag "pages: $start, then $(most_pages)"
assert_eq "the kernel has nothing to say of maps that are left" "" "$(dmesg | grep -E "$dma_complaint")"
