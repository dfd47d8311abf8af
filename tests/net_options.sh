#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# lab-long: each option of the device
# lab-devices: net-tap
# lab-timeout: 900
#
# rust_napi_net on devices with options that make a difference to it. scripts/net-matrix tries more of them,
# for longer. Less than a long run has those alone that have least in common.

# shellcheck source=tests/lib/net.sh
. "$(dirname "$0")/lib/net.sh"

# A peer that takes frames as they are on a wire only: the host has to do what the driver has asked of it.
plain_peer=plain_peer=peer.guest_csum=off
for offload in tso4 tso6 ecn ufo uso4 uso6; do plain_peer+=,peer.guest_$offload=off; done
# shellcheck disable=SC2054 # a row has commas
rows=(
	plain=event_idx=off,indirect_desc=off
	packed=packed=on
	packed_in_order=packed=on,in_order=on
	big=mrg_rxbuf=off
	"small=mrg_rxbuf=off,guest_tso4=off,guest_tso6=off,guest_ecn=off,guest_ufo=off,guest_uso4=off,guest_uso6=off"
	csum=csum=off
	mtu=host_mtu=9000
	intx=vectors=0
	shared=vectors=2
	per_pair=mq=on,vectors=4
	per_queue=mq=on,vectors=10
	platform=disable-legacy=on,iommu_platform=on
	"$plain_peer"
)
if [ -z "${LAB_LONG:-}" ]; then
	few=()
	for row in "${rows[@]}"; do
		case $row in packed_in_order=* | small=* | intx=* | per_pair=* | platform=* | plain_peer=*) few+=("$row") ;; esac
	done
	rows=("${few[@]}")
fi
plan $((${#rows[@]} + 19))
on_exit give "$net0"
on_exit replug
modprobe $driver || bail "the driver does not load"

while read -r word name rest; do
	case $word in
	ok) ok "$name: $rest" ;;
	FAILED) not_ok "$name: $rest" ;;
	*) diag "$word $name $rest" ;;
	esac
done < <(bash /lab/scripts/guest/bin/net-options -t 1 -m 8 "${rows[@]}")

# plug_as OPTION...: another device in its place.
plug_as() {
	mark_log
	unplug || return
	qmp device_add driver=virtio-net-pci id=net0 netdev=n0 bus=pci.0 addr=7 romfile= "$@" >/dev/null || return
	back() { [ -e "$pci/$net0/config" ]; }
	wait_for 30 back
}
# A device that is not what it says is refused, by name.
refused() {
	plug_as "$@" || return
	! take $net0 2>/dev/null || return
	driver_log
}
assert_match "MQ without CTRL_VQ" "offers .* without CTRL_VQ: refused" "$(refused ctrl_vq=false mq=true)"
assert_match "an MTU that IPv4 can't do with" "MTU of 60: expected 68 or more: refused" "$(refused host_mtu=60)"
assert_match "an address of a group" "address that no card can have: refused" "$(refused mac=01:00:5e:00:00:01)"

# Of the smallest MTU of IPv4 a large frame would come in more buffers than a packet can have.
make_peer || bail "there is no peer"
on_exit no_peer
BLOB_MIB=8
rm -f "$blob"
blob
if ! plug_as host_mtu=576 || ! take $net0; then bail "net0 does not come"; fi
nic=$(nic_of $net0)
ip link set "$nic" up && ip addr replace $our_ip4/24 dev "$nic" && ip -n peer link set "$peer_nic" mtu 576
check_fails "no MTU above the device's" ip link set "$nic" mtu 577
check "an MTU of 576" reachable $peer_ip4
check "an MTU of 576: out" checksum out
check "an MTU of 576: in" checksum in
assert_eq "an MTU of 576: no errors" "" "$(errors)"
ip -n peer link set "$peer_nic" mtu 1500
addresses peer "$peer_nic" $peer_ip4 $peer_ip6 || bail "the peer has no addresses"

# Rings that have no room for a frame in as many segments, or pieces, as there may be.
load ring_size=2
assert_match "a ring too short for a frame" "a ring of 2 has no room for the longest frame: refused" \
	"$(refused mrg_rxbuf=false host_mtu=9000)"
for options in mrg_rxbuf=true mrg_rxbuf=false; do
	case $options in mrg_rxbuf=true) load ring_size=8 ;; *) load ring_size=24 ;; esac
	if ! plug_as indirect_desc=false "$options" || ! take $net0 || ! link $net0; then bail "net0 does not come"; fi
	check "short rings, $options" reachable
	check "short rings, $options: out" checksum out
	check "short rings, $options: in" checksum in
done

# What small frames leave of such a ring must hold a large one, or both sides wait for ever.
load ring_size=32
if ! plug_as || ! take $net0 || ! link $net0; then bail "net0 does not come"; fi
check "32 buffers: small frames" ping -q -c 21 -i 0.01 $peer_ip4
check "32 buffers: large ones after them" checksum in
check "32 buffers: and small ones again" reachable
load ring_size=8
if ! plug_as || ! take $net0 || ! link $net0; then bail "net0 does not come"; fi
assert_eq "8 buffers: frames are as long as what all of them hold" 12210 \
	"$(ip -d -j link show "$nic" | python3 -c 'import json, sys; print(json.load(sys.stdin)[0]["max_mtu"])')"
