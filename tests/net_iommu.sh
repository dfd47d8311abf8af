#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# lab-long: a machine with an IOMMU
# lab-devices: net-iommu2
# lab-append: intel_iommu=on iommu.passthrough=0
# lab-kernels: debian debug
# lab-timeout: 200
#
# rust_napi_net behind an IOMMU, with split rings and with packed ones: what the device is given are addresses of
# the IOMMU's, and nothing else can be reached. Nothing can be plugged in there, so the cards are by turns each other's
# peer.

# shellcheck source=tests/lib/net.sh
. "$(dirname "$0")/lib/net.sh"
plan 30

on_exit give $net0 $net1
on_exit no_peer
check "there is an IOMMU" test -e /sys/class/iommu/dmar0
BLOB_MIB=4
blob
load

# card DEVICE PEER RING: has one card driven by ours, and the other one be its peer.
card() {
	local device=$1 peer=$2 ring=$3 sums
	check "$ring: the device is taken" take "$device"
	make_peer "$peer" || bail "there is no peer"
	link "$device" || bail "the link does not come up"
	assert_match "$ring: its DMA is translated" '^DMA' "$(cat "$pci/$device/iommu_group/type")"
	assert_eq "$ring: it has asked for addresses" 1 $((($(field "$device" nic features) >> 33) & 1))
	assert_eq "$ring: so are its rings" "$ring" "$(field "$device" nic ring)"
	check "$ring: the peer answers" reachable
	sums=$(wrong_sums) || bail "it is not known how many checksums are wrong"
	check "$ring: pings to 65507 bytes" python3 /lab/scripts/guest/bin/ping-sizes $peer_ip4 --step 4007
	serve || bail "no iperf3"
	traffic "$ring: TCP out" -t 1
	traffic "$ring: TCP in" -t 1 -R
	unserve
	check "$ring: $BLOB_MIB MiB out are what they were" checksum out
	check "$ring: $BLOB_MIB MiB in are what they were" checksum in
	check "$ring: no checksum was wrong, at either end" no_wrong_sums "$sums"
	assert_eq "$ring: no errors, none dropped" "" "$(errors)"
	sound "$device"
	no_peer
	give "$device" || bail "$device is not given back"
}
card $net0 $net1 split
card $net1 $net0 packed
assert_eq "the IOMMU has nothing to complain of" "" "$(dmesg | grep -iE 'DMAR.*fault|DMA (Read|Write)')"
