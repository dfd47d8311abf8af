# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# A card for which memory is short: all that it may reach is the bounce buffers of a guest that is booted with
# swiotlb=1024,1,force, 2 MiB, and a socket that nobody reads keeps what comes in, until the device has no buffer left.
# Source it after net.sh.
#
#   starving_card  has net0 be such a card, with the driver set up and few buffers
#   keep           begins to keep what comes in; keeper is who does, and ends with it
#   silent         sends a lot; whether nothing comes in any more
#   refills        how often the work item for refilling has run

# shellcheck disable=SC2154 # net0 and our_ip4 are net.sh's

starving_card() {
	# One that wants addresses instead of the machine's memory.
	unplug || bail "net0 does not go"
	plug disable-legacy=on iommu_platform=true || bail "net0 does not come"
	set_up queue_pairs=1 ring_size=64
}

# Frames that are long enough for the stack to keep the buffer, to a socket that takes all and is not read.
keep() {
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
}

flood() {
	in_peer timeout 20 python3 -c '
import socket, sys
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
    for _ in range(500):
        s.sendto(bytes(1400), (sys.argv[1], 7009))' "$our_ip4"
}
silent() {
	local before
	flood
	before=$(packets rx_packets)
	! in_peer ping -q -c 2 -W 1 "$our_ip4" >/dev/null && [ "$(packets rx_packets)" -eq "$before" ]
}

refills() { counter "$net0" work/refill.runs; }
